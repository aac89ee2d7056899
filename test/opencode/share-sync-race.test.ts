/** Catch-ups beside live events: whatever the host answers late, what is newer stands, and nothing has to be looked for again. */
import { expect, test } from "bun:test"
import type { HostSessions } from "../../src/opencode/drop-in.ts"
import { mulberry32 } from "../../src/testing/index.ts"
import { messageEvent, partEvent, sessionEvent } from "./bus-events.ts"
import { heldState, linkedBox } from "./linked-host.ts"
import { readEvents, readFinal, type RecordingName } from "./reference.ts"
import type { SessionStore } from "./session-store.ts"

/** Turns of the event loop that an answer may be late; it tells of when it was asked for. */
const late_turns_max = 40

function lateSessions(store: () => SessionStore, fraction: () => number): HostSessions {
  const late = async <T>(answer: T): Promise<T> => {
    await turns(Math.floor(fraction() * late_turns_max))
    return answer
  }
  return {
    get: (id) => late(store().get(id)),
    messages: (id) => late(store().messages(id)),
    diff: (id) => late(store().diff(id)),
  }
}

async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise<void>((resolve) => setImmediate(resolve))
}

const seeds = Array.from({ length: 8 }, (_, seed) => seed)

for (const name of ["share-unshare", "fork-and-revert"] as const satisfies RecordingName[])
  test.each(seeds)(
    `${name}: shared anywhere in mid-session, its answers late, ends in opencode's state (seed %d)`,
    async (seed) => {
      const fraction = mulberry32(seed)
      await using box = await linkedBox({ sessions: lateSessions((): SessionStore => box.store, fraction) })
      const final = await readFinal(name)
      // After an idle event it would be looked again.
      const events = (await readEvents(name)).filter(({ type }) => type !== "session.idle")
      const created = new Map<string, number>()
      events.forEach(({ type, properties }, place) => {
        if (type === "session.created") created.set(String(properties.sessionID), place)
      })
      const shareAt = new Map<number, string[]>()
      for (const [id, place] of created) {
        if (!final[id]) continue
        const at = place + Math.floor(fraction() * (events.length - place))
        shareAt.set(at, [...(shareAt.get(at) ?? []), id])
      }
      box.init()
      for (const [place, event] of events.entries()) {
        box.play(event)
        for (const id of shareAt.get(place) ?? []) await box.sync.create(id)
        if (fraction() < 0.5) await turns(Math.floor(fraction() * 4))
      }
      for (const [id, state] of Object.entries(final))
        await box.until(async () => Bun.deepEquals(await box.shown(id), state))
      // Nothing that was on its way makes it older again.
      await box.sync.outbox.flush()
      for (const [id, state] of Object.entries(final)) expect(await box.shown(id)).toEqual(state)
    },
  )

test("what lies below a message that changed while it was compared is shared by a second look", async () => {
  const asked = Promise.withResolvers<void>()
  const answered = Promise.withResolvers<void>()
  await using box = await linkedBox({
    sessions: {
      get: (id): object | undefined => box.store.get(id),
      async messages(id): Promise<{ info: object; parts: object[] }[]> {
        const messages = box.store.messages(id)
        asked.resolve()
        await answered.promise
        return messages
      },
    },
  })
  box.play(sessionEvent("ses_1"), messageEvent("ses_1", "msg_1"), partEvent("ses_1", "msg_1", "prt_1", "text"))
  box.init()
  await box.sync.create("ses_1")
  await asked.promise
  box.play(messageEvent("ses_1", "msg_1", { role: "assistant" }))
  answered.resolve()
  await box.until(async () => Bun.deepEquals(await box.shown("ses_1"), heldState(box.store, "ses_1")))
})
