/** Which of the known names was meant: as git suggests a command. */

/** Names that differ from what was typed by a third of its letters at most, the nearest first, at most three. */
export function nearest(typed: string, known: readonly string[]): string[] {
  const edits_max = Math.max(1, Math.floor(typed.length / 3))
  return known
    .map((name) => ({ name, edits: name.startsWith(typed) ? 0 : editsBetween(typed, name) }))
    .filter(({ edits }) => edits <= edits_max)
    .toSorted((a, b) => a.edits - b.edits)
    .slice(0, 3)
    .map(({ name }) => name)
}

/** Letters to insert, delete, replace or swap with the next (optimal string alignment distance). */
export function editsBetween(a: string, b: string): number {
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = above[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(above[j]! + 1, row[j - 1]! + 1, replaced)
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = above
    above = row
  }
  return above[b.length]!
}
