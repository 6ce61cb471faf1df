/**
 * Stands for the test runner in `test/support` where that is used outside of it: it only tells where slow things are made.
 */
export const inject = () => process.env.OR3_LOAD_DIR
