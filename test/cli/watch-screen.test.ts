/** What the live view draws: it fits, names what matters, and sums up what is many. */
import { describe, expect, test } from "bun:test"
import { Depth, rateText, sparkline } from "../../src/cli/watch/depth.ts"
import { Recent } from "../../src/cli/watch/recent.ts"
import { widthOf } from "../../src/cli/output/table.ts"
import { screenLines, type WatchView } from "../../src/cli/watch/watch-screen.ts"
import type { Change } from "../../src/inspect/changes.ts"
import type { Look } from "../../src/inspect/look.ts"
import type { StreamSummary } from "../../src/inspect/status.ts"
import { summaryOf } from "../inspect/stream-summary.ts"

const now = 1_700_000_000_000

const stream = (name: string, more: Partial<StreamSummary> = {}): StreamSummary =>
  summaryOf({ stream: name, recorded: 12_345, cursor: 12_345, time_last_ack: now - 1_000, ...more })

const lookAt = (time: number, ...streams: StreamSummary[]): Look => ({ time, outbox_id: "a", streams, lease: null })

function viewOf(streams: StreamSummary[], more: Partial<WatchView> = {}): WatchView {
  const depth = new Depth()
  depth.add(lookAt(now, ...streams), [])
  const place = { file: "/tmp/a/rather/long/way/to/the/outbox.db", by: "--db" } as const
  const look = lookAt(now, ...streams)
  return { place, now, look, trouble: undefined, depth, recent: new Recent(), active: new Map(), ...more }
}

const many = Array.from({ length: 60 }, (_, n) => stream(`a stream of many, number ${n} 🦊`))
const crowded = () => {
  const view = viewOf([stream("revoked", { state: "blocked", block: "revoked", pending: 9 }), ...many], {
    trouble: "the outbox cannot be read, for reasons that take more than a line of any terminal to say, and then some",
  })
  for (let n = 0; n < 90; n++) view.depth.add(lookAt(now + n, stream("x", { pending: n })), [])
  for (let n = 0; n < 90; n++) view.recent.say(now + n, `something happened, and was told at length: ${n}`, "bad")
  return view
}

describe("whatever the size of the terminal", () => {
  for (const columns of [20, 40, 80, 120, 250])
    for (const rows of [1, 2, 3, 5, 9, 12, 24, 60])
      test(`${columns}×${rows}: no more lines than rows, none wider than the columns`, () => {
        for (const view of [crowded(), viewOf([])]) {
          const lines = screenLines(view, { columns, rows })
          expect(lines.length).toBeLessThanOrEqual(rows)
          // A table gives up columns and letters, and then stands as it is: the terminal cuts what is left.
          if (columns >= 40) expect(Math.max(...lines.map(widthOf))).toBeLessThanOrEqual(columns)
          for (const line of lines) expect(line).not.toContain("\n")
        }
      })

  test("a few rows show streams, more of them what happened too, and all are used", () => {
    const small = screenLines(crowded(), { columns: 80, rows: 11 })
    expect(small.join("\n")).toContain("STREAM")
    expect(small.join("\n")).not.toContain("RECENT")
    const large = screenLines(crowded(), { columns: 80, rows: 40 })
    expect(large).toHaveLength(40)
    expect(large.at(-1)).toContain("at length: 89")
  })
})

describe("streams", () => {
  const names = (lines: string[]) =>
    lines.slice(lines.findIndex((line) => line.startsWith("STREAM")) + 1).map((line) => line.split(" ")[0])

  test("those that need a person come first, then those in which something happens, then the quiet ones", () => {
    const streams = [
      stream("removed", { state: "removed" }),
      stream("quiet"),
      stream("busy"),
      stream("pending", { state: "pending", pending: 3 }),
      stream("dead", { dead: 1 }),
    ]
    const lines = screenLines(viewOf(streams, { active: new Map([["busy", now - 5_000]]) }), { columns: 80, rows: 24 })
    expect(names(lines).slice(0, 5)).toEqual(["dead", "busy", "pending", "quiet", "removed"])
  })

  test("those that do not fit are counted", () => {
    expect(screenLines(viewOf(many), { columns: 80, rows: 11 }).at(-1)).toBe("… and 56 more streams")
  })

  test("why a person is needed, and where to look", () => {
    const streams = [stream("notes", { state: "blocked", block: "revoked", dead: 2 }), stream("other")]
    const text = screenLines(viewOf(streams), { columns: 200, rows: 24 }).join("\n")
    expect(text).toContain("1 stream needs a person: notes (revoked, 2 dead). See sturdy status --db /tmp/a/rather")
  })

  test("control characters in names do not reach the terminal", () => {
    const view = viewOf([stream("red\u001b[31m", { dead: 1 })])
    view.recent.add(now, [{ type: "rejected", stream: "red\u001b[31m", ops: 1 }])
    for (const line of screenLines(view, { columns: 120, rows: 24 })) expect(line).not.toMatch(/\p{Cc}/u)
  })
})

describe("recent", () => {
  const traffic = (name: string, ops: number): Change[] => [
    { type: "recorded", stream: name, ops },
    { type: "settled", stream: name, ops, batches: 1 },
    { type: "drained", stream: name },
  ]
  const texts = (recent: Recent) => recent.lines(99).map(({ text }) => text)

  test("traffic of look after look is one line", () => {
    const recent = new Recent()
    for (let n = 0; n < 5; n++) recent.add(now + n * 1_000, traffic("notes", 10))
    expect(texts(recent)).toEqual(["notes  recorded 50 ops, settled 50 in 5 batches, drained, in 4 s"])
    recent.add(now + 5_000, [{ type: "recorded", stream: "drafts", ops: 1 }])
    expect(texts(recent)).toEqual(["2 streams  recorded 51 ops, settled 50 in 5 batches, in 5 s"])
  })

  test("after a pause, or after something else, it is another line", () => {
    const recent = new Recent()
    recent.add(now, traffic("notes", 1))
    recent.add(now + 20_000, traffic("notes", 2))
    recent.add(now + 21_000, [{ type: "twin", stream: "notes" }, ...traffic("notes", 3)])
    expect(texts(recent)).toEqual([
      "notes  recorded 1 op, settled 1 in 1 batch, drained",
      "notes  recorded 2 ops, settled 2 in 1 batch, drained",
      "notes  twin: this outbox, or a copy of it, was restored or copied; handled",
      "notes  recorded 3 ops, settled 3 in 1 batch, drained",
    ])
  })

  test("the lease is told when it goes to another, not when the same takes it again", () => {
    const recent = new Recent()
    const taken = { type: "lease_taken", host: "vm", pid: 7, term: 2 } as const
    recent.add(now, [{ ...taken, after: { host: "vm", pid: 7, term: 1, state: "free" } }])
    recent.add(now, [{ ...taken, after: { host: "vm", pid: 6, term: 1, state: "dead" } }])
    expect(texts(recent)).toEqual(["lease taken by pid 7 on vm, term 2, over from pid 6 on vm, which has died"])
  })
})

describe("rates", () => {
  const depthOf = (...looks: [ms: number, recorded: number, posts: number][]) => {
    const depth = new Depth()
    for (const [ms, ops, posts] of looks)
      depth.add(lookAt(now + ms, stream("notes", { posts })), [{ type: "recorded", stream: "notes", ops }])
    return depth.rates
  }

  test("are of the last 5 seconds", () => {
    expect(depthOf([0, 900, 0], [1_000, 900, 0], [6_000, 50, 10], [8_000, 50, 14])).toMatchObject({
      recorded: 25,
      posts: 2,
    })
  })

  test("are from look to look where looks are rarer", () => {
    expect(depthOf([0, 0, 0], [60_000, 900, 0], [120_000, 120, 60])).toMatchObject({ recorded: 2, posts: 1 })
  })

  test("are never negative: another outbox has counted from 0", () => {
    expect(depthOf([0, 0, 90], [1_000, 0, 95], [2_000, 0, 3]).posts).toBe(2.5)
  })

  test("are 0 at the first look, and when the clock was put back", () => {
    expect(depthOf([0, 5, 5])).toEqual({ recorded: 0, settled: 0, posts: 0 })
    expect(depthOf([0, 5, 5], [-1_000, 5, 5])).toEqual({ recorded: 0, settled: 0, posts: 0 })
  })

  test.each([
    [0, "0/s"],
    [0.25, "0.3/s"],
    [1_234.5, "1,235/s"],
  ])("%p is %p", (rate, text) => expect(rateText(rate)).toBe(text))
})

test("a sparkline goes from nothing to the highest, and what is little is not nothing", () => {
  expect(sparkline([0, 1, 50, 100], 10)).toBe("▁▂▅█")
  expect(sparkline([0, 0], 10)).toBe("▁▁")
  expect(sparkline([9, 9, 1, 2, 4], 3)).toBe("▃▅█")
  expect(sparkline([1], 0)).toBe("")
})
