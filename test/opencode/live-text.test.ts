/** Text that is followed while it is written: how much of it, and of how many parts. */
import { expect, test } from "bun:test"
import { LiveText } from "../../src/opencode/live-text.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"
import { deltaEvent } from "./bus-events.ts"

function followed() {
  const clock = new ManualClock()
  const live = new LiveText(clock, 1_000)
  return {
    clock,
    begin: (id: string, more: object = {}) => live.begin({ id, type: "text", text: "", ...more }),
    /** The text that is told when the interval is over. */
    hear(id: string, text: string): unknown {
      clock.turn(1_000)
      return live.hear(deltaEvent("ses_1", "msg_1", id, text))?.text
    },
  }
}

test("goes on from the text with which the part began, and begins anew with the part", () => {
  const { begin, hear } = followed()
  begin("prt_1", { text: "once " })
  expect([hear("prt_1", "upon "), hear("prt_1", "a time")]).toEqual(["once upon ", "once upon a time"])
  begin("prt_1")
  expect(hear("prt_1", "again")).toBe("again")
})

test("is not that of a part that is unknown, has ended, or has no text", () => {
  const { begin, hear } = followed()
  begin("prt_ended", { time: { end: 1 } })
  begin("prt_tool", { text: undefined })
  expect(["prt_unknown", "prt_ended", "prt_tool"].map((id) => hear(id, "text"))).toEqual([
    undefined,
    undefined,
    undefined,
  ])
})

test("is told of at most 100 parts, the newest, and not of a text that became too long", () => {
  const { begin, hear } = followed()
  for (let n = 0; n < 101; n++) begin(`prt_${n}`)
  expect([hear("prt_0", "a"), hear("prt_1", "a"), hear("prt_100", "a")]).toEqual([undefined, "a", "a"])
  expect(hear("prt_1", "x".repeat(256 * 1024))).toBeUndefined()
  expect(hear("prt_1", "more")).toBeUndefined()
})

test("changes nothing of the host's part", () => {
  const { clock } = followed()
  const live = new LiveText(clock, 1_000)
  const part = { id: "prt_1", type: "text", text: "" }
  live.begin(part)
  clock.turn(1_000)
  expect(live.hear(deltaEvent("ses_1", "msg_1", "prt_1", "text"))).toEqual({ ...part, text: "text" })
  expect(part.text).toBe("")
})
