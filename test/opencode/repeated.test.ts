/** Work that fails, and answers that never come: neither a busy loop nor a standstill. */
import { expect, test } from "bun:test"
import { limited } from "../../src/opencode/limited-source.ts"
import { Repeated } from "../../src/opencode/repeated.ts"
import { type SessionSource, SourceSilent } from "../../src/opencode/session-source.ts"
import { ManualClock } from "../../src/testing/manual-clock.ts"

test("work that fails waits for its next try, however often it is wanted in its time", async () => {
  const clock = new ManualClock()
  let runs = 0
  const repeated: Repeated = new Repeated(clock, {
    run: async (session_id) => {
      runs++
      void repeated.want(session_id)
      throw new Error("the disk is full")
    },
    failed: () => {},
  })
  expect(await repeated.want("ses_1")).toBe(false)
  for (let event = 0; event < 100; event++) repeated.wantInTime("ses_1")
  expect(runs).toBe(1)
  expect(await repeated.want("ses_1")).toBe(false)
  expect(runs).toBe(2)
})

test("an answer that never comes is waited for no longer than half a minute", async () => {
  const clock = new ManualClock()
  const never = () => new Promise<never>(() => {})
  const silent: SessionSource = {
    isAuthority: true,
    info: never,
    messages: never,
    diff: never,
    children: never,
    model: never,
  }
  const source = limited(silent, clock)
  const model = { provider_id: "acme", model_id: "large" }
  const answers = Promise.allSettled([
    source.info("ses_1"),
    source.messages("ses_1"),
    source.diff("ses_1"),
    source.children("ses_1"),
    source.model(model),
  ])
  clock.turn(30_000)
  for (const answer of await answers) expect(answer).toMatchObject({ reason: expect.any(SourceSilent) })
})
