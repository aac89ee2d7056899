import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { SturdyError } from "../../src/intent/error.ts"
import type { BusEvent } from "../../src/opencode/event.ts"
import { type Mapped, mapEvent } from "../../src/opencode/map-event.ts"
import { deepFreeze, readEvents, recordingNames } from "./reference.ts"

const user = { id: "msg_user", sessionID: "ses_1", role: "user", time: { created: 1 } }
const assistant = { ...user, id: "msg_answer", role: "assistant" }
const part = { id: "prt_1", sessionID: "ses_1", messageID: "msg_answer", type: "text", text: "hello" }

function event(type: string, properties: Record<string, unknown>): BusEvent {
  return { id: "evt_1", type, properties: { sessionID: "ses_1", ...properties } }
}

function opsOf(mapped: Mapped) {
  return mapped.kind === "ops" ? mapped.ops : []
}

function turnOf(info: Record<string, unknown>) {
  return opsOf(mapEvent(event("message.updated", { info: { ...assistant, ...info } })))[1]?.args[0].state
}

function thrownBy(event: BusEvent): unknown {
  try {
    return mapEvent(event)
  } catch (error) {
    return error
  }
}

describe("a mapped event", () => {
  test("a session is put under one key, and depends on nothing", () => {
    const info = { id: "ses_1", title: "A title", time: { created: 1, updated: 2 } }
    const put = { method: "session.put", args: [info], key: "session", dependsOnKeys: [] }
    for (const type of ["session.created", "session.updated"])
      expect(mapEvent(event(type, { info }))).toEqual({
        kind: "ops",
        session_id: "ses_1",
        ops: [{ ...put, captureId: "evt_1", onlyIfChanged: true } as never],
      })
  })

  test("a user message is put and depends on its session's first put", () => {
    expect(opsOf(mapEvent(event("message.updated", { info: user })))).toEqual([
      {
        method: "message.put",
        args: [user],
        key: "message/msg_user",
        captureId: "evt_1",
        onlyIfChanged: true,
        dependsOnKeys: ["session"],
      },
    ])
  })

  test("an assistant message and its turn are one unit, and the turn depends on the message", () => {
    const info = { ...assistant, time: { created: 1, completed: 2 } }
    expect(opsOf(mapEvent(event("message.updated", { info })))).toEqual([
      {
        method: "message.put",
        args: [info],
        key: "message/msg_answer",
        captureId: "evt_1",
        onlyIfChanged: true,
        dependsOnKeys: ["session"],
      },
      {
        method: "turn.put",
        args: [{ message_id: "msg_answer", state: "completed" }],
        key: "message/msg_answer/turn",
        captureId: "evt_1#turn",
        onlyIfChanged: true,
        dependsOnKeys: ["message/msg_answer"],
      },
    ])
  })

  test("a turn is streaming until its message is completed", () => {
    expect([turnOf({}), turnOf({ time: { created: 1, completed: 2 } })]).toEqual(["streaming", "completed"])
  })

  test("a turn with an error is aborted or failed, completed or not", () => {
    const completed = { time: { created: 1, completed: 2 } }
    const aborted = { error: { name: "MessageAbortedError", data: { message: "Aborted" } } }
    const failed = { error: { name: "APIError", data: {} } }
    expect([aborted, { ...aborted, ...completed }, failed, { ...failed, ...completed }].map(turnOf)).toEqual([
      "aborted",
      "aborted",
      "failed",
      "failed",
    ])
  })

  test("a part is put and depends on its message's first put", () => {
    expect(opsOf(mapEvent(event("message.part.updated", { part, time: 5 })))).toEqual([
      {
        method: "part.put",
        args: [part],
        key: "message/msg_answer/part/prt_1",
        captureId: "evt_1",
        onlyIfChanged: true,
        dependsOnKeys: ["message/msg_answer"],
      },
    ])
  })

  test("a session diff is put without the session id around it", () => {
    const diff = [{ file: "a.txt", additions: 1, deletions: 0 }]
    expect(opsOf(mapEvent(event("session.diff", { diff })))).toEqual([
      {
        method: "session_diff.put",
        args: [{ diff }],
        key: "session_diff",
        captureId: "evt_1",
        onlyIfChanged: true,
        dependsOnKeys: ["session"],
      },
    ])
  })

  test("a message's removal carries the message's key and ends the keys of its parts and turn", () => {
    expect(opsOf(mapEvent(event("message.removed", { messageID: "msg_answer" })))).toEqual([
      {
        method: "message.remove",
        args: [{ id: "msg_answer" }],
        key: "message/msg_answer",
        captureId: "evt_1",
        onlyIfChanged: true,
        dependsOnKeys: [],
        endsKeys: "message/msg_answer/",
      },
    ])
  })

  test("a part's removal carries the part's key and names its message", () => {
    expect(opsOf(mapEvent(event("message.part.removed", { messageID: "msg_answer", partID: "prt_1" })))).toEqual([
      {
        method: "part.remove",
        args: [{ id: "prt_1", message_id: "msg_answer" }],
        key: "message/msg_answer/part/prt_1",
        captureId: "evt_1",
        onlyIfChanged: true,
        dependsOnKeys: [],
      },
    ])
  })

  test("a session's deletion removes the share, whatever else the event holds", () => {
    expect(mapEvent(event("session.deleted", { info: null }))).toEqual({ kind: "removed", session_id: "ses_1" })
  })

  test("an event of a session that carries no state makes the session known and records nothing", () => {
    for (const type of ["session.status", "session.idle", "message.part.delta", "todo.updated", "of.the.future"])
      expect(mapEvent(event(type, {}))).toEqual({ kind: "ops", session_id: "ses_1", ops: [] })
  })

  test("an event of no session is ignored", () => {
    const noise = [{ sessionID: undefined }, { sessionID: 7 }, { sessionID: "" }].map((properties) =>
      mapEvent(event("session.error", properties)),
    )
    const plugin = mapEvent({ id: "evt_1", type: "plugin.added", properties: { id: "x" } })
    expect([...noise, plugin]).toEqual([noise[0]!, noise[0]!, noise[0]!, { kind: "ignored" }])
    expect(noise[0]).toEqual({ kind: "ignored" })
  })

  test("a recorded share url passes through and is not acted on", () => {
    const info = { id: "ses_1", share: { url: "https://example.com/s/1" } }
    expect(opsOf(mapEvent(event("session.updated", { info }))).map((op) => op.args)).toEqual([[info]])
  })
})

describe("a malformed event", () => {
  const cases: [string, BusEvent, string][] = [
    ["a message without an id", event("message.updated", { info: { role: "user" } }), "properties.info.id is missing"],
    ["a message that is none", event("message.updated", { info: [] }), "properties.info is not an object"],
    ["an id with a slash", event("message.removed", { messageID: "a/b" }), "properties.messageID is not an id"],
    ["a part without a message", event("message.part.updated", { part: { id: "p" } }), "properties.part.messageID"],
    ["a diff that is no array", event("session.diff", { diff: {} }), "properties.diff is not an array"],
    ["a deletion of no session", event("session.deleted", { sessionID: null }), "properties.sessionID is not an id"],
    ["an event without an id", { ...event("session.diff", { diff: [] }), id: "" }, "id is not an id"],
    [
      "a message of another session",
      event("message.updated", { info: { ...user, sessionID: "ses_2" } }),
      "properties.info.sessionID belongs to another session",
    ],
    ["another session's info", event("session.updated", { info: { id: "ses_2" } }), "properties.info.id belongs to"],
    [
      "a part of another session",
      event("message.part.updated", { part: { ...part, sessionID: "ses_2" } }),
      "properties.part.sessionID belongs to another session",
    ],
  ]
  for (const [name, malformed, message] of cases)
    test(`${name} is refused, and the error names type, id and field`, () => {
      const error = thrownBy(malformed)
      expect(error).toBeInstanceOf(SturdyError)
      const { code, message: text } = error as SturdyError
      expect([code, text.startsWith(`${malformed.type} ${malformed.id || "without an id"}: ${message}`)]).toEqual([
        "recording_malformed",
        true,
      ])
    })

  test("no error shows a value of the event", () => {
    const secret = "sk-very-secret"
    const info = { id: `${secret} `, sessionID: "ses_1" }
    const error = thrownBy(event("message.updated", { info })) as SturdyError
    expect(`${error.message} ${error.hint} ${error.path}`).not.toContain(secret)
  })
})

describe("any event", () => {
  const types = [
    "session.created",
    "session.updated",
    "session.deleted",
    "session.diff",
    "session.status",
    "message.updated",
    "message.removed",
    "message.part.updated",
    "message.part.removed",
    "message.part.delta",
    "plugin.added",
    "constructor",
    "__proto__",
  ]
  const ids = fc.constantFrom("ses_1", "msg_1", "a/b", "", 7, null)
  const item = fc.oneof(
    fc.record({ id: ids, sessionID: ids, messageID: ids, role: fc.constant("assistant") }, { requiredKeys: [] }),
    fc.jsonValue(),
  )
  const properties = fc.oneof(
    fc.record(
      { sessionID: ids, info: item, part: item, diff: item, messageID: ids, partID: ids },
      { requiredKeys: [] },
    ),
    fc.jsonValue(),
  )
  const shapes = fc.oneof(
    fc.record(
      { id: fc.constantFrom("evt_1", "", 3), type: fc.constantFrom(...types), properties },
      { requiredKeys: [] },
    ),
    fc.jsonValue(),
  )

  test("whatever its shape, it is mapped or refused with a SturdyError", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const result = thrownBy(shape as BusEvent)
        if (result instanceof SturdyError) return result.code === "recording_malformed"
        return ["ignored", "ops", "removed"].includes((result as Mapped).kind)
      }),
      { numRuns: 2_000 },
    )
  })

  test("it is left as it was, and its payload is passed on as it is", async () => {
    for (const name of recordingNames)
      for (const event of await readEvents(name)) {
        const mapped = mapEvent(deepFreeze(event))
        const payload = event.properties.info ?? event.properties.part
        if (mapped.kind === "ops" && mapped.ops[0]?.method.endsWith(".put") && payload)
          expect(mapped.ops[0].args[0]).toBe(payload as Record<string, unknown>)
      }
  })

  test("keys, capture ids and session ids fit the limits even with the longest ids", () => {
    const id = "x".repeat(200)
    const [op] = opsOf(
      mapEvent({ id, type: "message.part.removed", properties: { sessionID: id, messageID: id, partID: id } }),
    )
    expect(op!.key.length).toBeLessThanOrEqual(512)
    expect(thrownBy(event("message.removed", { messageID: `${id}x` }))).toBeInstanceOf(SturdyError)
  })
})

test("the types that occur in the recordings are mapped as the table says", async () => {
  const seen: Record<string, string> = {}
  for (const name of recordingNames)
    for (const event of await readEvents(name)) {
      const mapped = mapEvent(event)
      const methods = opsOf(mapped).map((op) => op.method)
      const result = mapped.kind === "ops" ? methods.join(" + ") || "nothing" : mapped.kind
      const known = new Set(seen[event.type]?.split(", ") ?? [])
      seen[event.type] = [...known.add(result)].toSorted().join(", ")
    }
  expect(seen).toEqual({
    "session.created": "session.put",
    "session.updated": "session.put",
    "session.deleted": "removed",
    "session.diff": "session_diff.put",
    "session.status": "nothing",
    "session.idle": "nothing",
    "session.error": "nothing",
    "session.compacted": "nothing",
    "message.updated": "message.put, message.put + turn.put",
    "message.removed": "message.remove",
    "message.part.updated": "part.put",
    "message.part.delta": "nothing",
    "plugin.added": "ignored",
    "catalog.updated": "ignored",
    "reference.updated": "ignored",
    "integration.updated": "ignored",
    "file.edited": "ignored",
    "file.watcher.updated": "ignored",
  })
})
