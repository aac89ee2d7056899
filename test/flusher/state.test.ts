import { expect, test } from "bun:test"
import { events, grid, states, step } from "../../src/flusher/state.ts"

// The grid as it is meant, written a second time, so that a cell cannot change unseen.
const meant: Record<string, string> = {
  idle: "sending never never never stay never never stopped",
  sending: "stay stay idle waiting stay blocked closed stopped",
  waiting: "stay never never never sending never never stopped",
  blocked: "stay never never never stay never never stopped",
  closed: "sending never never never stay never never stay",
  stopped: "sending stay stay stay stay stay closed stay",
}

for (const state of states)
  for (const [index, event] of events.entries()) {
    const cell = meant[state]!.split(" ")[index]!
    test(`${state} on ${event}: ${cell}`, () => {
      expect(grid[state][event]).toBe(cell as (typeof grid)[typeof state][typeof event])
      if (cell === "never") expect(() => step(state, event)).toThrow(`a stream that is ${state} cannot be ${event}`)
      else expect(step(state, event)).toBe(cell === "stay" ? state : (cell as typeof state))
    })
  }

test("whatever happens, a stopped stream does not go on by itself", () => {
  for (const event of events.filter((event) => event !== "work" && event !== "removed"))
    expect(step("stopped", event)).toBe("stopped")
})

test("stop ends every state but that of a closed stream", () => {
  for (const state of states) expect(step(state, "stop")).toBe(state === "closed" ? "closed" : "stopped")
})
