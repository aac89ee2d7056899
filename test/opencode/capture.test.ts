import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { BusEvent } from "../../src/opencode/event.ts"
import { CapturedPlaces } from "../../src/opencode/captured-places.ts"
import { mapEvent } from "../../src/opencode/map-event.ts"
import {
  type RecordingName,
  ReferenceOutbox,
  readEvents,
  readFinal,
  recordingNames,
  withoutShare,
} from "./reference.ts"

/** Feeds a whole source to an outbox that may have captured any of it before. */
function feedLate(outbox: ReferenceOutbox, events: BusEvent[]): ReferenceOutbox {
  const places = new CapturedPlaces((session_id, id) => outbox.streams.get(session_id)?.captured.has(id) ?? false)
  events.forEach((event, index) => places.see(mapEvent(event), index + 1))
  events.forEach((event, index) =>
    outbox.feed(mapEvent(event), (session_id, op) => places.isStale(session_id, op, index + 1)),
  )
  return outbox
}

function recordedBy(outbox: ReferenceOutbox) {
  return [...outbox.streams].map(([session_id, stream]) => [session_id, stream.recorded.map((entry) => entry.text)])
}

/** What final.json can be compared with: it has no turns and no diffs. */
function comparable(outbox: ReferenceOutbox) {
  const items = (state: Record<string, unknown>) =>
    Object.entries(state)
      .filter(([name]) => name !== "session_diff" && !name.startsWith("turn "))
      .map(([name, item]) => [name, name === "session" ? withoutShare(item as Record<string, unknown>) : item])
  return Object.fromEntries(
    Object.entries(outbox.state()).map(([session_id, state]) => [session_id, Object.fromEntries(items(state))]),
  )
}

describe("a recording", () => {
  for (const name of recordingNames)
    test(`${name}: the ops, applied in order, give opencode's own final state and nothing else`, async () => {
      expect(comparable(new ReferenceOutbox().feedAll(await readEvents(name)))).toEqual(await readFinal(name))
    })

  test("every assistant message has a turn in the state that its final message tells, and no other has one", async () => {
    for (const name of recordingNames)
      for (const state of Object.values(new ReferenceOutbox().feedAll(await readEvents(name)).state())) {
        const messages = Object.entries(state).filter(([key]) => key.startsWith("message "))
        const turns = messages.flatMap(([key, message]) => {
          const info = message as { role: string; time: { completed?: number }; error?: { name: string } }
          if (info.role !== "assistant") return []
          const ended = info.error?.name === "MessageAbortedError" ? "aborted" : "completed"
          const turn = { message_id: key.slice(8), state: info.time.completed === undefined ? "streaming" : ended }
          return [[`turn ${key.slice(8)}`, turn]]
        })
        const found = Object.entries(state).filter(([key]) => key.startsWith("turn "))
        expect(Object.fromEntries(found)).toEqual(Object.fromEntries(turns))
      }
  })

  test("a part depends on its message's first put, a message on its session's, and a removal on nothing", async () => {
    const links = new Set<string>()
    for (const name of recordingNames)
      for (const { recorded } of new ReferenceOutbox().feedAll(await readEvents(name)).streams.values())
        for (const { op, dependsOn } of recorded) {
          const keys = dependsOn.map((index) => recorded[index]!.op.key)
          expect(keys).toEqual(op.dependsOnKeys)
          for (const index of dependsOn)
            expect(recorded.findIndex((entry) => entry.op.key === recorded[index]!.op.key)).toBe(index)
          links.add(`${op.method} → ${dependsOn.map((index) => recorded[index]!.op.method).join() || "nothing"}`)
        }
    expect([...links].toSorted()).toEqual([
      "message.put → session.put",
      "message.remove → nothing",
      "part.put → message.put",
      "session.put → nothing",
      "session_diff.put → session.put",
      "turn.put → message.put",
    ])
  })

  test("each gives the known number of ops, and repeats that change nothing are skipped", async () => {
    const figures: Partial<Record<RecordingName, string>> = {}
    for (const name of recordingNames) {
      const events = await readEvents(name)
      const outbox = new ReferenceOutbox().feedAll(events)
      const recorded = outbox.count((stream) => stream.recorded.length)
      const unchanged = outbox.count((stream) => stream.unchanged)
      figures[name] =
        `${events.length} events, ${outbox.streams.size} sessions: ${recorded} ops, ${unchanged} unchanged`
    }
    expect(figures).toEqual({
      "big-tool-output": "243 events, 1 sessions: 141 ops, 33 unchanged",
      "fork-and-revert": "306 events, 3 sessions: 187 ops, 23 unchanged",
      "kill9-midstream": "226 events, 1 sessions: 45 ops, 6 unchanged",
      "long-session-60": "5144 events, 6 sessions: 1624 ops, 335 unchanged",
      "share-unshare": "155 events, 1 sessions: 69 ops, 11 unchanged",
      "short-text": "78 events, 1 sessions: 19 ops, 2 unchanged",
      "tool-calls": "293 events, 1 sessions: 142 ops, 28 unchanged",
    })
  })
})

describe("capturing again", () => {
  test("the same recording twice records nothing more", async () => {
    for (const name of recordingNames) {
      const events = await readEvents(name)
      const once = new ReferenceOutbox().feedAll(events)
      const twice = feedLate(new ReferenceOutbox().feedAll(events), events)
      expect(recordedBy(twice)).toEqual(recordedBy(once))
    }
  })

  test("a recording cut anywhere, then its longer version, records what one reading of it records", async () => {
    const events = await readEvents("fork-and-revert")
    const once = recordedBy(new ReferenceOutbox().feedAll(events))
    for (let cut = 0; cut <= events.length; cut++)
      expect(recordedBy(feedLate(new ReferenceOutbox().feedAll(events.slice(0, cut)), events))).toEqual(once)
  })

  test("an older, shorter version after the whole recording changes nothing", async () => {
    const events = await readEvents("fork-and-revert")
    const once = new ReferenceOutbox().feedAll(events)
    for (let cut = 0; cut <= events.length; cut += 7) {
      const outbox = feedLate(new ReferenceOutbox().feedAll(events), events.slice(0, cut))
      expect(recordedBy(outbox)).toEqual(recordedBy(once))
    }
  })

  test("late, after any part of the recording was captured, it ends in the same state", async () => {
    for (const name of ["fork-and-revert", "tool-calls", "share-unshare"] as const) {
      const events = await readEvents(name)
      const state = new ReferenceOutbox().feedAll(events).state()
      const scattered = fc.array(fc.boolean(), { minLength: events.length, maxLength: events.length })
      // What a crash leaves whose catch-up runs beside live events.
      const oneHole = fc
        .tuple(fc.nat(events.length), fc.nat(events.length))
        .map(([from, to]) => events.map((_, index) => index < from || index >= to))
      fc.assert(
        fc.property(fc.oneof(scattered, oneHole), (isCaptured) => {
          const outbox = new ReferenceOutbox().feedAll(events.filter((_, index) => isCaptured[index]))
          expect(feedLate(outbox, events).state()).toEqual(state)
        }),
        { numRuns: 60 },
      )
    }
  })
})

describe("a late op", () => {
  const message = (id: string, extra = {}): BusEvent => ({
    id,
    type: "message.updated",
    properties: { sessionID: "ses_1", info: { id: "msg_1", sessionID: "ses_1", role: "user", ...extra } },
  })
  const part = (id: string, text: string): BusEvent => ({
    id,
    type: "message.part.updated",
    properties: { sessionID: "ses_1", part: { id: "prt_1", sessionID: "ses_1", messageID: "msg_1", text } },
  })
  const removal = (id: string): BusEvent => ({
    id,
    type: "message.removed",
    properties: { sessionID: "ses_1", messageID: "msg_1" },
  })
  /** The ids of the events that are stale when only `captured` was. */
  function staleOf(events: BusEvent[], ...captured: string[]): string[] {
    const places = new CapturedPlaces((_, captureId) => captured.includes(captureId))
    events.forEach((event, index) => places.see(mapEvent(event), index + 1))
    return events.flatMap((event, index) => {
      const mapped = mapEvent(event)
      const ops = mapped.kind === "ops" ? mapped.ops : []
      return ops.filter((op) => places.isStale("ses_1", op, index + 1)).map((op) => op.captureId)
    })
  }

  test("is stale when a later state of the same thing is captured", () => {
    expect(staleOf([part("evt_1", "a"), part("evt_2", "b"), part("evt_3", "c")], "evt_2")).toEqual(["evt_1"])
  })

  test("is not stale because of another thing, or of another session", () => {
    const info = { id: "prt_1", sessionID: "ses_2", messageID: "msg_1" }
    const elsewhere = { ...part("evt_2", "b"), properties: { sessionID: "ses_2", part: info } }
    expect(staleOf([part("evt_1", "a"), elsewhere, message("evt_3")], "evt_2", "evt_3")).toEqual([])
  })

  test("is stale when the removal of its message is captured", () => {
    expect(staleOf([message("evt_1"), part("evt_2", "a"), removal("evt_3"), message("evt_4")], "evt_3")).toEqual([
      "evt_1",
      "evt_2",
    ])
  })

  test("is stale as a removal when what it removed is back", () => {
    const events = [removal("evt_1"), message("evt_2"), part("evt_3", "a")]
    expect([staleOf(events, "evt_2"), staleOf(events, "evt_3"), staleOf(events)]).toEqual([["evt_1"], ["evt_1"], []])
  })

  test("is noted as captured, so that a source without its successor does not bring it back", () => {
    const [older, newer] = [part("evt_1", "a"), part("evt_2", "b")]
    const outbox = feedLate(feedLate(new ReferenceOutbox().feedAll([newer]), [older, newer]), [older])
    expect(outbox.streams.get("ses_1")!.recorded.map((entry) => entry.op.captureId)).toEqual(["evt_2"])
  })
})

test("what was removed with its message is recorded in full when it comes back unchanged", () => {
  const info = { id: "msg_1", sessionID: "ses_1", role: "assistant", time: {} }
  const part = { id: "prt_1", sessionID: "ses_1", messageID: "msg_1" }
  const types = [
    "message.updated",
    "message.part.updated",
    "message.removed",
    "message.updated",
    "message.part.updated",
  ]
  const outbox = new ReferenceOutbox().feedAll(
    types.map((type, index) => ({
      id: `evt_${index}`,
      type,
      properties: { sessionID: "ses_1", messageID: "msg_1", info, part },
    })),
  )
  expect(outbox.streams.get("ses_1")!.recorded.map((entry) => entry.op.method)).toEqual([
    "message.put",
    "turn.put",
    "part.put",
    "message.remove",
    "message.put",
    "turn.put",
    "part.put",
  ])
})
