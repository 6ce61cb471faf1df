/**
 * When two e-mail addresses are one.
 */

/**
 * How addresses compare, everywhere: without blanks around them and in lower case, of any script. Kept beside what identity providers
 * gave, since no engine folds more than ASCII. Both forms of a small sigma are one: which of them a capital becomes depends on its place.
 */
export const foldedEmail = (email: string): string => email.trim().toLowerCase().replaceAll('ς', 'σ')
