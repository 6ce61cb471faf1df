/**
 * Rows by a key, in their order. `Map.groupBy` is not in every Node that is served.
 */
export const grouped = <A, K>(rows: Iterable<A>, keyOf: (row: A) => K): ReadonlyMap<K, ReadonlyArray<A>> => {
  const groups = new Map<K, Array<A>>()
  for (const row of rows) {
    const group = groups.get(keyOf(row))
    if (group === undefined) groups.set(keyOf(row), [row])
    else group.push(row)
  }
  return groups
}
