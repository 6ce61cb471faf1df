/**
 * What a host hands in may throw when it is looked at.
 */

/** What was read; of what cannot be read nothing, which the service refuses. */
export const readable = <A extends object>(read: () => A): A => {
  try {
    return read()
  } catch {
    return {} as A
  }
}
