import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type Column, shortened, tableLines, widthOf, wrapped } from "../../src/cli/output/table.ts"

interface Fruit {
  name: string
  weight: string
  note: string
}

const columns: Column<Fruit>[] = [
  { title: "NAME", text: (row) => row.name, shrink: 6, middle: true },
  { title: "WEIGHT", text: (row) => row.weight, align: "right" },
  { title: "NOTE", text: (row) => row.note, drop: 1 },
]
const rows = [
  { name: "strawberry", weight: "12", note: "sweet" },
  { name: "fig", weight: "1,204", note: "-" },
]

describe("a table", () => {
  test("is as wide as it is where nothing limits it", () => {
    expect(tableLines(rows, columns)).toEqual([
      "NAME        WEIGHT  NOTE",
      "strawberry      12  sweet",
      "fig          1,204  -",
    ])
  })

  test("shortens what may be shortened before it leaves a column out", () => {
    expect(tableLines(rows, columns, 21)).toEqual([
      "NAME    WEIGHT  NOTE",
      "stra…y      12  sweet",
      "fig      1,204  -",
    ])
  })

  test("leaves out the column that matters least where it cannot fit", () => {
    expect(tableLines(rows, columns, 20)).toEqual(["NAME        WEIGHT", "strawberry      12", "fig          1,204"])
  })

  test("keeps the columns that always stay, however narrow the terminal is", () => {
    expect(tableLines(rows, columns, 3)[0]).toBe("NAME    WEIGHT")
  })

  test("counts columns of the terminal, not letters", () => {
    const wide = [{ name: "日本", weight: "1", note: "" }]
    expect(tableLines(wide, columns)[1]).toBe("日本       1")
  })

  test("never is wider than it may be, as long as its columns can be shortened", () => {
    const cell = fc.string({ unit: "grapheme", maxLength: 30 })
    fc.assert(
      fc.property(
        fc.array(fc.record({ name: cell, note: cell }), { maxLength: 5 }),
        fc.integer({ min: 20, max: 90 }),
        (rows, width) => {
          const all = rows.map((row) => ({ ...row, weight: "1" }))
          for (const line of tableLines(all, columns, width)) expect(widthOf(line)).toBeLessThanOrEqual(width)
        },
      ),
    )
  })
})

describe("a text that is shortened", () => {
  test.each([
    ["strawberry", 10, false, "strawberry"],
    ["strawberry", 5, false, "stra…"],
    ["strawberry", 7, true, "stra…ry"],
    ["strawberry", 1, false, "…"],
    ["strawberry", 0, false, ""],
    ["日本語", 5, false, "日本…"],
    ["日本語", 4, false, "日…"],
    ["👨‍👩‍👧‍👦 family", 4, false, "👨‍👩‍👧‍👦 …"],
  ])("%p in %i columns", (text, width, middle, short) => {
    expect(shortened(text, width, middle)).toBe(short)
  })
})

test("lines break at spaces, and a word that is longer than a line stays whole", () => {
  expect(wrapped("one two three fourteen-letters", 9, "  ")).toEqual(["  one two", "  three", "  fourteen-letters"])
  expect(wrapped("one two three", undefined, "  ")).toEqual(["  one two three"])
})
