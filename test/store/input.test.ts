/** Bad input at every public entry that records: a typed refusal, and nothing is written. */
import { Database } from "bun:sqlite"
import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { openOutbox, type RecordInput, type SturdyRef } from "../../src/index.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { openQuietOutbox, ref } from "./box.ts"
import { ScopedDatabase } from "../scoped-database.ts"

/** What a caller without types may pass. */
const anything = (value: unknown) => value as never

async function inputBox() {
  const dir = tempDir()
  const box = openQuietOutbox(dir.file())
  box.notes.record({ method: "put", args: [0] })
  const content = () => {
    // Only what is committed: the -wal grows by nothing else.
    return readFileSync(`${dir.file()}-wal`).length
  }
  const before = content()
  return {
    ...box,
    dir,
    untouched: () => content() === before && box.notes.status().pending === 1,
    async [Symbol.asyncDispose]() {
      await box[Symbol.asyncDispose]()
      await dir[Symbol.asyncDispose]()
    },
  }
}

const badInputs: Record<string, unknown> = {
  nothing: undefined,
  null: null,
  "no method": { args: [] },
  "an empty method": { method: "", args: [] },
  "a method that is no text": { method: 5, args: [] },
  "a method of 513 bytes": { method: "ü".repeat(257), args: [] },
  "no args": { method: "put" },
  "args that are no array": { method: "put", args: { 0: 1, length: 1 } },
  "an empty key": { method: "put", args: [], key: "" },
  "a key that is no text": { method: "put", args: [], key: 5 },
  "a key of 513 bytes": { method: "put", args: [], key: "x".repeat(513) },
  "an empty captureId": { method: "put", args: [], captureId: "" },
  "an actorId that is no text": { method: "put", args: [], actorId: {} },
  "an empty endsKeys": { method: "put", args: [], endsKeys: "" },
  "schemaVersion 0": { method: "put", args: [], schemaVersion: 0 },
  "a fractional schemaVersion": { method: "put", args: [], schemaVersion: 1.5 },
  "a schemaVersion that is a text": { method: "put", args: [], schemaVersion: "1" },
  "onlyIfChanged without a key": { method: "put", args: [], onlyIfChanged: true },
  "a dependsOn that is no op_id": { method: "put", args: [], dependsOn: ["nope"] },
  "a dependsOn that is no Intent": { method: "put", args: [], dependsOn: [{}] },
  "a dependsOn that is a text": { method: "put", args: [], dependsOn: "01ARZ3NDEKTSV4RRFFQ69G5FAV" },
  "a dependsOn that is null": { method: "put", args: [], dependsOn: null },
  "dependsOnKeys that is a text": { method: "put", args: [], dependsOnKeys: "s3cr3t" },
  "dependsOnKeys that is a set": { method: "put", args: [], dependsOnKeys: new Set(["k"]) },
  "a key in dependsOnKeys that is no text": { method: "put", args: [], dependsOnKeys: [5] },
  "onlyIfChanged that is a number": { method: "put", args: [], key: "k", onlyIfChanged: 1 },
  "stale that is a text": { method: "put", args: [], stale: "s3cr3t" },
  "wantResult that is null": { method: "put", args: [], wantResult: null },
  "a field that is none": { method: "put", args: [], captureID: "s3cr3t" },
  "an array": ["put", []],
  "a text": "s3cr3t",
  "a target that is a text": { method: "put", args: [], target: "s3cr3t" },
  "257 dependencies": {
    method: "put",
    args: [],
    dependsOn: Array.from({ length: 257 }, (_, i) => String(i).padStart(26, "0")),
  },
}

describe("stream.record refuses", () => {
  for (const [name, input] of Object.entries(badInputs))
    test(name, async () => {
      await using box = await inputBox()
      const error = errorOf(() => box.notes.record(input as RecordInput))
      expect([error.code, box.untouched()]).toEqual(["invalid_argument", true])
      expect(error.message + error.hint).not.toContain("s3cr3t")
    })

  test("arguments that cannot be replayed", async () => {
    await using box = await inputBox()
    const error = errorOf(() => box.notes.record({ method: "put", args: [{ run: () => 1 }] }))
    expect([error.code, error.path, box.untouched()]).toEqual(["args_unsupported", "args[0].run", true])
  })

  test("a reference to a call of another stream", async () => {
    await using box = await inputBox()
    const other = box.outbox.stream("other", { ...ref, share_id: "share_of_the_test_1" })
    const foreign = other.record({ method: "create", args: [] })
    const error = errorOf(() => box.notes.record({ method: "put", args: [foreign] }))
    expect([error.code, box.notes.status().pending]).toEqual(["reference_foreign", 1])
  })

  test("a reference to a call of another outbox", async () => {
    await using box = await inputBox()
    await using second = openQuietOutbox(box.dir.file("second.db"))
    const foreign = second.notes.record({ method: "create", args: [] })
    expect(errorOf(() => box.notes.record({ method: "put", args: [foreign] })).code).toBe("reference_foreign")
    expect(errorOf(() => box.notes.record({ method: "put", args: [], dependsOn: [foreign] })).code).toBe(
      "reference_foreign",
    )
    expect(box.untouched()).toBe(true)
  })

  test("anything on a stream whose removal was recorded", async () => {
    await using box = await inputBox()
    box.notes.remove()
    expect(errorOf(() => box.notes.record({ method: "put", args: [] })).code).toBe("stream_closed")
  })
})

const badRefs: Record<string, unknown> = {
  "a service that is no URL": { ...ref, service: "notes" },
  "a service that is no http URL": { ...ref, service: "file:///etc/passwd" },
  "a service with a password": { ...ref, service: "https://a:b@example.com" },
  "a short share_id": { ...ref, share_id: "short" },
  "a share_id with a slash": { ...ref, share_id: `${ref.share_id}/x` },
  "a share_id that is no text": { ...ref, share_id: 5 },
  "no secret": { service: ref.service, share_id: ref.share_id },
  "a secret of 129 characters": { ...ref, secret: "x".repeat(129) },
}

describe("outbox.stream and outbox.stub refuse", () => {
  for (const [name, bad] of Object.entries(badRefs))
    test(name, async () => {
      await using box = await inputBox()
      const codes = [
        errorOf(() => box.outbox.stream("new", bad as SturdyRef)).code,
        errorOf(() => box.outbox.stub(bad as SturdyRef, { name: "new" })).code,
      ]
      expect([codes, box.untouched()]).toEqual([["invalid_argument", "invalid_argument"], true])
    })

  test("an empty name, one that is too long, and one that is no text", async () => {
    await using box = await inputBox()
    const codes = ["", "x".repeat(513), 5].map((name) => errorOf(() => box.outbox.stream(anything(name), ref)).code)
    expect([codes, box.untouched()]).toEqual([["invalid_argument", "invalid_argument", "invalid_argument"], true])
  })

  test("options that are none, and a create that is none", async () => {
    await using box = await inputBox()
    const fresh = box.outbox.newRef(ref.service)
    const options = [null, 5, { session_id: "x" }, { create: null }, { create: {} }, { create: { session: "x" } }]
    const codes = options.flatMap((bad) => [
      errorOf(() => box.outbox.stream("new", fresh, anything(bad))).code,
      errorOf(() => box.outbox.stub(fresh, anything(bad))).code,
      errorOf(() =>
        box.outbox.stub(ref.service, anything(bad && typeof bad === "object" ? { name: "new", ...bad } : bad)),
      ).code,
    ])
    expect([new Set(codes), box.untouched()]).toEqual([new Set(["invalid_argument" as const]), true])
  })

  test("a null ref: it is no stored stream that is asked for", async () => {
    await using box = await inputBox()
    expect(errorOf(() => box.outbox.stream("notes", anything(null))).code).toBe("invalid_argument")
    for (const to of [undefined, null, 5])
      expect(errorOf(() => box.outbox.stub(anything(to), { name: "notes" })).code).toBe("invalid_argument")
  })

  test("a name that is not there, without a ref", async () => {
    await using box = await inputBox()
    expect(errorOf(() => box.outbox.stream("nowhere")).code).toBe("stream_unknown")
  })

  test("a name that belongs to another share", async () => {
    await using box = await inputBox()
    const error = errorOf(() => box.outbox.stream("notes", { ...ref, secret: "another_secret_0123456789" }))
    expect([error.code, error.message.includes("another_secret"), box.untouched()]).toEqual([
      "stream_conflict",
      false,
      true,
    ])
  })
})

describe("outbox.unit refuses", () => {
  test("a body that returns a promise", async () => {
    await using box = await inputBox()
    const body = async () => void box.notes.record({ method: "put", args: [] })
    expect([errorOf(() => box.outbox.unit(body)).code, box.untouched()]).toEqual(["invalid_argument", true])
  })

  test("a body that is no function", async () => {
    await using box = await inputBox()
    const codes = [undefined, null, "s3cr3t", {}].map((body) => errorOf(() => box.outbox.unit(anything(body))).code)
    expect([new Set(codes), box.untouched()]).toEqual([new Set(["invalid_argument" as const]), true])
  })

  test("calls on two streams", async () => {
    await using box = await inputBox()
    const other = box.outbox.stream("other", { ...ref, share_id: "share_of_the_test_1" })
    const error = errorOf(() =>
      box.outbox.unit(() => {
        box.notes.record({ method: "put", args: [] })
        other.record({ method: "put", args: [] })
      }),
    )
    expect([error.code, box.notes.status().pending, other.status().pending]).toEqual(["unit_spans_streams", 1, 0])
  })

  test("nothing else of the unit once its body threw, and passes that error on", async () => {
    await using box = await inputBox()
    expect(() =>
      box.outbox.unit(() => {
        box.notes.record({ method: "put", args: [] })
        throw new RangeError("the host changed its mind")
      }),
    ).toThrow(RangeError)
    expect(box.untouched()).toBe(true)
    box.notes.record({ method: "put", args: [] })
    expect(box.notes.status().pending).toBe(2)
  })
})

describe("stream.remove refuses", () => {
  test("to be part of a unit, whose throw could not undo it", async () => {
    await using box = await inputBox()
    const error = errorOf(() => box.outbox.unit(() => box.notes.remove()))
    expect([error.code, box.notes.status().removed, box.untouched()]).toEqual(["invalid_argument", false, true])
    box.notes.remove()
    expect(box.notes.status().removed).toBeTrue()
  })
})

describe("outbox.newRef refuses", () => {
  for (const service of [undefined, null, 5, "", "notes", "file:///etc/passwd", "https://a:s3cr3t@example.com"])
    test(`${service} without repeating a password`, async () => {
      await using box = await inputBox()
      const error = errorOf(() => box.outbox.newRef(anything(service)))
      expect(error.code).toBe("invalid_argument")
      expect(error.message + error.hint).not.toContain("s3cr3t")
    })
})

describe("stream.unblock refuses", () => {
  for (const [name, change] of Object.entries({
    null: null,
    "a text": "s3cr3t",
    "an array": ["s3cr3t"],
    "a field that is none": { secrets: "s3cr3t_of_the_test_0123456789" },
  }))
    test(name, async () => {
      await using box = await inputBox()
      const error = errorOf(() => box.notes.unblock(anything(change)))
      expect([error.code, box.untouched()]).toEqual(["invalid_argument", true])
      expect(error.message + error.hint).not.toContain("s3cr3t")
    })
})

describe("stream.deadLetters refuses, with a hint at its page,", () => {
  for (const [name, page] of Object.entries({
    null: null,
    "limit 0": { limit: 0 },
    "limit 1,001": { limit: 1_001 },
    "a limit that is a text": { limit: "s3cr3t" },
    "a negative place": { after: -1 },
    "args that are no flag": { args: "s3cr3t" },
    "a field that is none": { from: 5 },
  }))
    test(name, async () => {
      await using box = await inputBox()
      const error = errorOf(() => box.notes.deadLetters(anything(page)))
      expect([error.code, error.hint]).toEqual(["invalid_argument", "See DeadLetterPage."])
      expect(error.message).not.toContain("s3cr3t")
    })
})

describe("stream.retry and stream.discard refuse", () => {
  for (const what of [undefined, null, 5, "s3cr3t", { op_id: "01ARZ3NDEKTSV4RRFFQ69G5FAV", args: '["s3cr3t"]' }])
    test(`${typeof what} ${what}, without repeating it`, async () => {
      await using box = await inputBox()
      for (const call of [() => box.notes.retry(anything(what)), () => box.notes.discard(anything(what))]) {
        const error = errorOf(call)
        expect([error.code, box.untouched()]).toEqual(["invalid_argument", true])
        expect(error.message).not.toContain("s3cr3t")
        expect(error.hint).toBe("Pass the op_id of one of deadLetters().")
      }
    })
})

describe("outbox.result and outbox.opId refuse", () => {
  test("what is no Intent of this outbox", async () => {
    await using box = await inputBox()
    for (const wrong of [undefined, null, 5, "x", {}])
      expect([
        (await rejectionOf(box.outbox.result(anything(wrong)))).code,
        errorOf(() => box.outbox.opId(anything(wrong))).code,
      ]).toEqual(["invalid_argument", "invalid_argument"])
  })

  test("a call recorded without wantResult", async () => {
    await using box = await inputBox()
    const intent = box.notes.record({ method: "put", args: [] })
    expect((await rejectionOf(box.outbox.result(intent))).code).toBe("invalid_argument")
  })
})

describe("after close", () => {
  test("every entry says closed", async () => {
    await using dir = tempDir()
    const { outbox } = openQuietOutbox(dir.file())
    await outbox.close({ flush_ms: 0 })
    await outbox.close()
    const calls = [
      () => outbox.stream("notes", ref),
      () => outbox.stub(ref),
      () => outbox.unit(() => 1),
      () => outbox.bookmark("s"),
      () => outbox.streams(),
    ]
    expect(calls.map((call) => errorOf(call).code)).toEqual(calls.map(() => "closed" as const))
    for (const late of [outbox.durable(), outbox.flush()]) expect((await rejectionOf(late)).code).toBe("closed")
  })

  test("a stream that was opened before says closed", async () => {
    await using dir = tempDir()
    const { outbox, notes } = openQuietOutbox(dir.file())
    await outbox.close({ flush_ms: 0 })
    expect(errorOf(() => notes.record({ method: "put", args: [] })).code).toBe("closed")
  })

  test("a wait for a result ends with closed", async () => {
    await using dir = tempDir()
    const { outbox, notes } = openQuietOutbox(dir.file())
    const result = rejectionOf(outbox.result(notes.record({ method: "create", args: [], wantResult: true })))
    await outbox.close({ flush_ms: 0 })
    expect((await result).code).toBe("closed")
  })
})

describe("openOutbox refuses", () => {
  test("a path with a NUL", async () => {
    await using dir = tempDir()
    expect(errorOf(() => openOutbox(`${dir.path}/a\u0000b`)).code).toBe("database_unopenable")
  })

  test("a host's database that may only be read", async () => {
    await using dir = tempDir()
    new Database(dir.file()).close()
    using db = new ScopedDatabase(dir.file(), { readonly: true })
    expect(errorOf(() => openOutbox({ database: db })).code).toBe("database_unopenable")
  })
})

describe("at the door", () => {
  for (const [name, where] of Object.entries({
    nothing: undefined,
    null: null,
    "an empty object": {},
    "a number": 5,
  }))
    test(`openOutbox refuses ${name} with a SturdyError`, () => {
      expect(errorOf(() => openOutbox(anything(where))).code).toBe("invalid_argument")
    })

  test("a captureId with half a surrogate pair is refused: two of them would be stored as one", async () => {
    await using box = await inputBox()
    const record = () => box.notes.record({ method: "put", args: [], captureId: "\ud800" })
    expect(errorOf(record).code).toBe("invalid_argument")
  })

  test("a unit inside a unit that threw leaves nothing in the outer one", async () => {
    await using box = await inputBox()
    box.outbox.unit(() => {
      try {
        box.outbox.unit(() => {
          box.notes.record({ method: "put", args: [] })
          throw new Error("inner")
        })
      } catch {
        // The host goes on with the outer unit.
      }
    })
    expect(box.notes.status().pending).toBe(1)
  })

  test("a reference to a call of a unit that was never written is refused", async () => {
    await using box = await inputBox()
    let lost: unknown
    expect(() =>
      box.outbox.unit(() => {
        lost = box.notes.record({ method: "create", args: [] })
        throw new Error("never written")
      }),
    ).toThrow()
    expect(() => box.notes.record({ method: "put", args: [lost] })).toThrow()
  })
})
