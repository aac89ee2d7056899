/** Rows in columns that fit the terminal: what matters least is left out first, then long texts are shortened. */

import { toned } from "./terminal.ts"

export interface Column<Row> {
  title: string
  text(row: Row): string
  align?: "right"
  /** Colours a cell that has its final width. */
  tone?(row: Row, cell: string): string
  /** Left out where the terminal is narrow: the highest first. A column without it always stays. */
  drop?: number
  /** May be shortened to so many columns. */
  shrink?: number
  /** Shortened in its middle: ids and names differ at both ends. */
  middle?: boolean
}

const gap = "  "

/** `width` undefined: as wide as it is. Cells must be printable. */
export function tableLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width?: number): string[] {
  const shown = fitting(rows, columns, width)
  const line = (cells: string[]) => cells.join(gap).trimEnd()
  const title = line(shown.map(({ column, width }) => pad(column.title, width, column.align)))
  return [
    toned("quiet", title),
    ...rows.map((row) =>
      line(
        shown.map(({ column, width }) => {
          const cell = pad(shortened(column.text(row), width, column.middle), width, column.align)
          return column.tone?.(row, cell) ?? cell
        }),
      ),
    ),
  ]
}

interface Sized<Row> {
  column: Column<Row>
  width: number
}

function fitting<Row>(rows: readonly Row[], columns: readonly Column<Row>[], width = Infinity): Sized<Row>[] {
  const sized = columns.map((column) => ({
    column,
    width: Math.max(widthOf(column.title), ...rows.map((row) => widthOf(column.text(row)))),
  }))
  const least = ({ column, width }: Sized<Row>) =>
    Math.min(width, Math.max(column.shrink ?? width, widthOf(column.title)))
  const total = (of: (sized: Sized<Row>) => number) =>
    sized.reduce((sum, each) => sum + of(each) + gap.length, -gap.length)
  for (;;) {
    const last = sized
      .filter(({ column }) => column.drop !== undefined)
      .toSorted((a, b) => b.column.drop! - a.column.drop!)[0]
    if (total(least) <= width || !last) break
    sized.splice(sized.indexOf(last), 1)
  }
  // The widest gives way first.
  for (let over = total((each) => each.width) - width; over > 0; over--) {
    const widest = sized.filter((each) => each.width > least(each)).toSorted((a, b) => b.width - a.width)[0]
    if (!widest) break
    widest.width--
  }
  return sized
}

export function widthOf(text: string): number {
  return Bun.stringWidth(text)
}

export function pad(text: string, width: number, align?: "right"): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)))
  return align === "right" ? space + text : text + space
}

/** The text in so many columns, with an ellipsis where something is missing. */
export function shortened(text: string, width: number, middle = false): string {
  if (widthOf(text) <= width) return text
  if (width < 2) return "…".slice(0, width)
  const letters = Array.from(new Intl.Segmenter().segment(text), ({ segment }) => segment)
  const take = (from: Iterable<string>, room: number) => {
    const taken: string[] = []
    let used = 0
    for (const letter of from) {
      used += widthOf(letter)
      if (used > room) break
      taken.push(letter)
    }
    return taken
  }
  const tail = middle ? take(letters.toReversed(), Math.floor((width - 1) / 3)).toReversed() : []
  const head = take(letters, width - 1 - widthOf(tail.join("")))
  return `${head.join("")}…${tail.join("")}`
}

/** Lines of at most so many columns, broken at spaces, the later ones indented. */
export function wrapped(text: string, width: number | undefined, indent: string): string[] {
  if (width === undefined) return [indent + text]
  const lines: string[] = []
  let line = ""
  for (const word of text.split(" ")) {
    const longer = line ? `${line} ${word}` : word
    if (line && widthOf(indent + longer) > width) {
      lines.push(indent + line)
      line = word
    } else line = longer
  }
  return [...lines, indent + line]
}
