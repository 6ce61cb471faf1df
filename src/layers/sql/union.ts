/**
 * Unions of any length: some engines take five terms at most.
 */
const mostTerms = 5

/** All rows of all branches, each a whole SELECT. */
export const unionAll = (branches: ReadonlyArray<string>): string => {
  if (branches.length <= mostTerms) return branches.join(' UNION ALL ')
  const groups: Array<string> = []
  for (let start = 0; start < branches.length; start += mostTerms) {
    groups.push(`SELECT * FROM (${branches.slice(start, start + mostTerms).join(' UNION ALL ')})`)
  }
  return unionAll(groups)
}
