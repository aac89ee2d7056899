import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { type GraphNode, graphLines } from "../../src/cli/text/op-graph.ts"

/** `a b<a c<a,b` */
function nodes(text: string): GraphNode[] {
  return text.split(" ").map((word) => {
    const [op_id, on] = word.split("<")
    return { op_id: op_id!, depends_on: on ? on.split(",") : [] }
  })
}

const drawing = (text: string) => graphLines(nodes(text)).map((line) => line.trimEnd())

describe("a graph of ops", () => {
  const cases: [what: string, text: string, lines: string[]][] = [
    ["of ops that have nothing to do with each other is a column", "a b c", ["○", "○", "○"]],
    ["of a chain stays straight", "a b<a c<b", ["○", "●", "●"]],
    ["opens a lane that ends at the last that depends on it", "a b<a c<a d", ["○", "├─●", "●", "○"]],
    ["draws what lies between beside it", "a b c<a", ["○", "│ ○", "●"]],
    ["joins two lanes", "a b c<a,b", ["○", "│ ○", "╰─●"]],
    ["crosses a lane", "a b<a c<a d<b e<c", ["○", "├─●", "● │", "│ ●", "●"]],
    ["passes a lane that has nothing to do with it", "a b c<a d<b e<a", ["○", "│ ○", "├─│─●", "│ ●", "●"]],
    ["leaves out what is not in it", "a<x b<y,a", ["○", "●"]],
  ]
  test.each(cases)("%s", (_, text, lines) => {
    expect(drawing(text)).toEqual(lines)
  })

  test("opens no lane beyond the tenth: what depends on that op names it", () => {
    const firsts = Array.from("abcdefghijkl")
    const lines = drawing([...firsts, ...firsts.map((op) => `${op}2<${op}`)].join(" "))
    expect(Math.max(...lines.map((line) => line.length))).toBe(21)
    // Those two as well are none that depend on nothing.
    expect(lines.map((line) => line.match(/[○●]/)![0]).join("")).toBe("○".repeat(12) + "●".repeat(12))
  })

  test("of any ops has a line per op, each with one node, all of one width and of at most eleven lanes", () => {
    const arbitrary = fc
      .array(fc.array(fc.nat({ max: 40 }), { maxLength: 3 }), { maxLength: 40 })
      .map((all) =>
        all.map((on, index) => ({ op_id: `${index}`, depends_on: on.filter((at) => at < index).map(String) })),
      )
    fc.assert(
      fc.property(arbitrary, (all) => {
        const lines = graphLines(all)
        expect(lines).toHaveLength(all.length)
        expect(new Set(lines.map((line) => line.length)).size).toBeLessThanOrEqual(1)
        for (const [index, line] of lines.entries()) {
          expect(line.match(/[○●]/g)).toHaveLength(1)
          expect(line.length).toBeLessThanOrEqual(21)
          if (all[index]!.depends_on.length === 0) expect(line).toContain("○")
        }
      }),
    )
  })
})
