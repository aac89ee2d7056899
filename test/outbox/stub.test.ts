/** The stub, units and intents against the real service. */
import { describe, expect, test } from "bun:test"
import { inspect } from "node:util"
import { SturdyError } from "../../src/intent/error.ts"
import { openOutbox } from "../../src/outbox.ts"
import { type Methods, Rejection } from "../../src/service/index.ts"
import { fail, openBox, record } from "../flusher/box.ts"
import { errorOf, rejectionOf } from "../sturdy-error.ts"
import { tempDir } from "../temp-dir.ts"
import { ScopedDatabase } from "../scoped-database.ts"

interface Note {
  id: string
  title: string
  tags: { name: string }[]
}

interface NotesApi {
  create(input: { title: string }): Promise<Note>
  addTag(id: string, tag: string): Note
  join(left: { value: string }, rights: string[]): string
  refuse(): string
  broken(): string
}

let notes = 0
const methods: Methods = {
  create: (_, input) => ({ id: `note_${++notes}`, title: (input as Note).title, tags: [{ name: "a" }, { name: "b" }] }),
  addTag: (_, id, tag) => ({ id, title: "", tags: [{ name: tag }] }),
  join: (_, left, rights) => `${(left as { value: string }).value}+${(rights as string[]).join("+")}`,
  refuse: () => {
    throw new Rejection("not_today", "come back tomorrow")
  },
}

async function openNotes() {
  const box = await openBox({ service: { methods } })
  const outbox = box.open()
  return {
    box,
    outbox,
    notes: outbox.stub<NotesApi>(box.ref, { name: "notes" }),
    [Symbol.asyncDispose]: () => box[Symbol.asyncDispose](),
  }
}

describe("the stub", () => {
  test("a call is on disk when it returns, and its result comes back", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "Plan" })
    expect(it.box.state(it.outbox.opId(note))).toEqual(["pending"])
    expect(await it.box.run(it.outbox.result(note))).toMatchObject({
      title: "Plan",
      tags: [{ name: "a" }, { name: "b" }],
    })
  })

  test("results and their properties are arguments of later calls, inside objects and arrays too, in one POST", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "Plan" })
    const tagged = it.notes.addTag(note.id, "work")
    const joined = it.notes.join({ value: tagged.tags[0]!.name }, [note.tags[1]!.name, "x", note.title])
    expect(await it.box.run(it.outbox.result(joined))).toBe("work+b+x+Plan")
    expect(it.box.sent.map((post) => post.batches.map((batch) => batch.ops.length))).toEqual([[3]])
  })

  test("what an op depends on follows from its arguments, each once, in order", async () => {
    await using it = await openNotes()
    const one = it.notes.create({ title: "1" })
    const two = it.notes.create({ title: "2" })
    it.notes.join({ value: two.id }, [one.id, two.title, one.title])
    await it.box.run(it.outbox.flush())
    expect(it.box.sent[0]!.batches[0]!.ops[2]!.depends_on).toEqual([it.outbox.opId(two), it.outbox.opId(one)])
  })

  test("a reference holds across flushes", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "Plan" })
    await it.box.run(it.outbox.flush())
    const joined = it.notes.join({ value: note.title }, [])
    expect(await it.box.run(it.outbox.result(joined))).toBe("Plan+")
    expect(it.box.sent).toHaveLength(2)
  })

  test("a reference that was recorded before a crash is resolved after it", async () => {
    await using it = await openNotes()
    it.box.always(fail("refused"))
    const note = it.notes.create({ title: "Plan" })
    const op_id = it.outbox.opId(it.notes.join({ value: note.title }, [note.id]))
    await it.box.close(it.outbox)
    it.box.always(undefined)
    const again = it.box.open()
    await it.box.run(again.flush())
    expect(it.box.state(op_id)).toEqual(["acked"])
    using db = new ScopedDatabase(it.box.dir.file(), { readonly: true })
    const { result } = db.query("select result from sturdy_result order by seq desc").get() as { result: string }
    expect(JSON.parse(result)).toStartWith("Plan+note_")
  })

  test("what refers to a rejected call is rejected too, and what does not goes through", async () => {
    await using it = await openNotes()
    const refused = it.notes.refuse()
    const after = it.notes.join({ value: refused }, [])
    const other = it.notes.create({ title: "fine" })
    const errors = await it.box.run(
      Promise.all([refused, after].map((intent) => rejectionOf(it.outbox.result(intent)))),
    )
    expect(errors.map(({ code, message }) => `${code} ${message}`)).toEqual([
      expect.stringMatching(/^op_rejected refuse .* was rejected: not_today, come back tomorrow$/),
      expect.stringMatching(/^op_rejected join .* was rejected: dependency_rejected/),
    ])
    expect(await it.box.run(it.outbox.result(other))).toMatchObject({ title: "fine" })
  })

  test("a method that the server does not have is rejected for good, and blocks nothing", async () => {
    await using it = await openNotes()
    const broken = it.notes.broken()
    const error = await it.box.run(rejectionOf(it.outbox.result(broken)))
    expect(error.code).toBe("op_rejected")
    expect(await it.box.run(it.outbox.flush())).toEqual({ settled: true, blocked: [] })
  })

  test("a property of a result that is not there rejects the call that refers to it", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "Plan" })
    const error = await it.box.run(rejectionOf(it.outbox.result(it.notes.join({ value: note.tags[7]!.name }, []))))
    expect(error.message).toContain("reference_missing")
  })

  test("looking at a stub records nothing", async () => {
    await using it = await openNotes()
    expect(await Promise.resolve(it.notes)).toBe(it.notes)
    inspect(it.notes)
    JSON.stringify({ it: it.notes })
    try {
      void `${it.notes}`
    } catch {
      // It has no text.
    }
    expect(it.outbox.stream("notes").status().recorded).toBe(0)
  })

  test("the stream of a stub is named by its share unless it is given a name", async () => {
    await using it = await openNotes()
    const ref = it.box.freshRef()
    it.outbox.stub<NotesApi>(ref)
    expect(it.outbox.streams().map(({ name }) => name)).toEqual(["notes", ref.share_id])
  })
})

describe("a unit", () => {
  test("is decided together: one batch, and all or nothing on disk", async () => {
    await using it = await openNotes()
    const value = it.outbox.unit(() => {
      const note = it.notes.create({ title: "1" })
      it.notes.addTag(note.id, "x")
      return "done"
    })
    expect(value).toBe("done")
    await it.box.run(it.outbox.flush())
    expect(it.box.sent.map((post) => post.batches.map((batch) => batch.ops.length))).toEqual([[2]])
  })

  test("whose body throws writes nothing, and the error is the body's own", async () => {
    await using it = await openNotes()
    const mine = new Error("mine")
    expect(() =>
      it.outbox.unit(() => {
        it.notes.create({ title: "1" })
        throw mine
      }),
    ).toThrow(mine)
    expect(it.outbox.stream("notes").status()).toMatchObject({ recorded: 0, pending: 0 })
    it.notes.create({ title: "2" })
    expect(it.outbox.stream("notes").status().recorded).toBe(1)
  })

  test("whose body returns a promise writes nothing", async () => {
    await using it = await openNotes()
    const error = errorOf(() => it.outbox.unit(async () => void it.notes.create({ title: "1" })))
    expect(error.code).toBe("invalid_argument")
    expect(it.outbox.stream("notes").status().recorded).toBe(0)
  })

  test("of two streams is refused whole", async () => {
    await using it = await openNotes()
    const other = it.outbox.stub<NotesApi>(it.box.freshRef(), { name: "other" })
    const error = errorOf(() =>
      it.outbox.unit(() => {
        it.notes.create({ title: "1" })
        other.create({ title: "2" })
      }),
    )
    expect(error.code).toBe("unit_spans_streams")
    expect(it.outbox.streams().map((stream) => stream.status().recorded)).toEqual([0, 0])
  })

  test("inside a unit belongs to the outer one", async () => {
    await using it = await openNotes()
    it.outbox.unit(() => {
      it.notes.create({ title: "1" })
      it.outbox.unit(() => it.notes.create({ title: "2" }))
      expect(it.outbox.stream("notes").status().recorded).toBe(0)
    })
    await it.box.run(it.outbox.flush())
    expect(it.box.sent[0]!.batches.map((batch) => batch.ops.length)).toEqual([2])
  })

  test("inside a unit that throws leaves nothing of itself, when the outer one goes on", async () => {
    await using it = await openNotes()
    it.outbox.unit(() => {
      it.notes.create({ title: "kept" })
      expect(() =>
        it.outbox.unit(() => {
          it.notes.create({ title: "dropped" })
          throw new Error("mine")
        }),
      ).toThrow("mine")
    })
    expect(it.outbox.stream("notes").status().recorded).toBe(1)
  })

  test("inside a unit that returns a promise is refused, and leaves nothing of itself", async () => {
    await using it = await openNotes()
    it.outbox.unit(() => {
      it.notes.create({ title: "kept" })
      expect(errorOf(() => it.outbox.unit(async () => void it.notes.create({ title: "x" }))).code).toBe(
        "invalid_argument",
      )
    })
    expect(it.outbox.stream("notes").status().recorded).toBe(1)
  })

  test("inside a unit with a bookmark of its own is refused, and leaves nothing of itself", async () => {
    await using it = await openNotes()
    const bookmark = { source: "recording", place: 7 }
    it.outbox.unit(() => {
      it.notes.create({ title: "kept" })
      expect(errorOf(() => it.outbox.unit(() => void it.notes.create({ title: "dropped" }), { bookmark })).code).toBe(
        "invalid_argument",
      )
    })
    expect(it.outbox.stream("notes").status().recorded).toBe(1)
    expect(it.outbox.bookmark("recording")).toBeUndefined()
    it.outbox.unit(() => void it.outbox.unit(() => it.notes.create({ title: "kept" })), { bookmark })
    expect(it.outbox.bookmark("recording")).toEqual(bookmark)
  })

  test("of nothing is nothing", async () => {
    await using it = await openNotes()
    expect(it.outbox.unit(() => 7)).toBe(7)
    expect(it.outbox.stream("notes").status().recorded).toBe(0)
  })

  test("one poisoned op of a unit does not stop the others: each has its own outcome", async () => {
    await using it = await openNotes()
    it.outbox.unit(() => {
      it.notes.create({ title: "1" })
      it.notes.refuse()
      it.notes.create({ title: "2" })
    })
    await it.box.run(it.outbox.flush())
    expect(it.outbox.stream("notes").status()).toMatchObject({ pending: 0, dead: 1 })
  })
})

describe("an Intent", () => {
  test("is not thenable: await gives it back at once", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "1" })
    expect("then" in note).toBeFalse()
    expect((await Promise.resolve(note)) === note).toBeTrue()
    expect(it.box.sent).toEqual([])
  })

  test("shows its method and op_id, and a property its path", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "1" })
    const op_id = it.outbox.opId(note)
    expect(inspect(note)).toBe(`Intent(create ${op_id})`)
    expect(inspect(note.tags[0]!.name)).toBe(`Intent(create.tags.0.name ${op_id})`)
  })

  test("gives nothing away as JSON", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "1" })
    expect(JSON.stringify({ note })).toBe('{"note":{}}')
    expect(Object.keys(note)).toEqual([])
  })

  test("cannot be assigned to", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "1" }) as unknown as { title: string }
    const error = errorOf(() => {
      note.title = "2"
    })
    expect(error.code).toBe("invalid_argument")
  })

  test("of another stream or another outbox is refused as an argument, and nothing is written", async () => {
    await using it = await openNotes()
    const other = it.outbox.stub<NotesApi>(it.box.freshRef(), { name: "other" })
    const elsewhere = it.box.open({}, it.box.dir.file("other.db"))
    const foreign = [other.create({ title: "1" }), elsewhere.stub<NotesApi>(it.box.ref).create({ title: "2" })]
    for (const note of foreign) expect(errorOf(() => it.notes.addTag(note.id, "x")).code).toBe("reference_foreign")
    expect(it.outbox.stream("notes").status().recorded).toBe(0)
    expect((await rejectionOf(it.outbox.result(foreign[1]!))).code).toBe("invalid_argument")
  })

  test("has an op_id that stays the same", async () => {
    await using it = await openNotes()
    const note = it.notes.create({ title: "1" })
    const op_id = it.outbox.opId(note)
    expect(op_id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/)
    await it.box.run(it.outbox.flush())
    expect(it.outbox.opId(note)).toBe(op_id)
    expect(errorOf(() => it.outbox.opId({} as never)).code).toBe("invalid_argument")
  })

  test("recorded again with the same captureId is the first one", async () => {
    await using it = await openNotes()
    const stream = it.outbox.stream("notes")
    const [first, second] = [1, 2].map((n) => stream.record({ method: "create", args: [{ n }], captureId: "evt_1" }))
    expect(it.outbox.opId(second!)).toBe(it.outbox.opId(first!))
    expect(stream.status().recorded).toBe(1)
  })

  test("takes its arguments as they are at the call", async () => {
    await using it = await openNotes()
    const input = { title: "before" }
    const note = it.notes.create(input)
    input.title = "after"
    expect(await it.box.run(it.outbox.result(note))).toMatchObject({ title: "before" })
  })
})

describe("streams", () => {
  test("the same name with the same ref is the same stream; with another it is refused", async () => {
    await using it = await openNotes()
    expect(it.outbox.stream("notes", it.box.ref).name).toBe("notes")
    for (const [field, value] of Object.entries(it.box.freshRef("elsewhere.example")))
      expect(errorOf(() => it.outbox.stream("notes", { ...it.box.ref, [field]: value })).code).toBe("stream_conflict")
  })

  test("a conflict names what differs and no secret", async () => {
    await using it = await openNotes()
    const { secret } = it.box.freshRef()
    const { message } = errorOf(() => it.outbox.stream("notes", { ...it.box.ref, secret }))
    expect(message).toContain("another secret")
    expect(message).not.toContain(secret)
    expect(message).not.toContain(it.box.ref.secret)
  })

  test("a name without a ref must exist", async () => {
    await using it = await openNotes()
    expect(errorOf(() => it.outbox.stream("nobody")).code).toBe("stream_unknown")
    expect(it.outbox.findStream("nobody")).toBeUndefined()
  })

  test.each<[string, object]>([
    ["a service that is no URL", { service: "nowhere" }],
    ["a service of another protocol", { service: "file:///tmp/x" }],
    ["a service with a password", { service: "http://me:canary@share.example/" }],
    ["a share_id that is too short", { share_id: "short" }],
    ["a secret with other characters", { secret: "canary canary canary canary" }],
  ])("a ref with %s is refused without showing it", async (_, wrong) => {
    await using it = await openNotes()
    const error = errorOf(() => it.outbox.stream("new", { ...it.box.freshRef(), ...wrong }))
    expect(error.code).toBe("invalid_argument")
    expect(error.message).not.toContain("canary")
  })

  test("an empty session_id is refused, and no stream is made", async () => {
    await using it = await openNotes()
    const ref = it.box.freshRef()
    expect(errorOf(() => it.outbox.stream("new", ref, { create: { session_id: "" } })).code).toBe("invalid_argument")
    expect(it.outbox.findStream("new")).toBeUndefined()
  })

  test("newRef makes ids that the contract takes, new ones each time", async () => {
    await using it = await openNotes()
    const [one, two] = [it.outbox.newRef("http://x.example/rpc"), it.outbox.newRef("http://x.example/rpc")]
    expect(one.share_id).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(one.secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(one.share_id).not.toBe(two.share_id)
    expect(it.outbox.stream("new", one).status()).toMatchObject({ share_id: one.share_id, pending: 0 })
  })
})

describe("events", () => {
  test("tell the way of an op, in order", async () => {
    await using it = await openNotes()
    const seen: string[] = []
    for (const name of ["recorded", "sent", "acked", "rejected", "drained", "lease"] as const)
      it.outbox.on(name, () => seen.push(name))
    it.notes.create({ title: "1" })
    it.notes.refuse()
    await it.box.run(it.outbox.flush())
    await it.box.turn(0)
    expect(seen).toEqual(["recorded", "recorded", "lease", "sent", "acked", "rejected", "drained", "lease"])
  })

  test("superseded names what replaced what", async () => {
    await using it = await openNotes()
    const seen: unknown[] = []
    it.outbox.on("superseded", (event) => seen.push(event))
    const stream = it.outbox.stream("notes")
    const [first, second] = [1, 2].map((n) => it.outbox.opId(stream.record({ method: "create", args: [n], key: "k" })))
    expect(seen).toEqual([{ stream: "notes", op_id: first, by_op_id: second }])
  })

  test("a listener is no longer called once it was taken off", async () => {
    await using it = await openNotes()
    let calls = 0
    const off = it.outbox.on("recorded", () => void calls++)
    it.notes.create({ title: "1" })
    off()
    it.notes.create({ title: "2" })
    expect(calls).toBe(1)
  })
})

describe("in the host's own database", () => {
  test("the host's write and the op commit together, and roll back together", async () => {
    await using dir = tempDir()
    using database = new ScopedDatabase(dir.file("host.db"))
    database.run("create table note (title text)")
    await using outbox = openOutbox({ database })
    outbox.pause()
    const ref = { service: "http://x.example/rpc/share", share_id: "share_of_the_test", secret: "secret_of_the_test" }
    const stream = outbox.stream("notes", ref)
    const write = (title: string, stop: boolean) =>
      database.transaction(() => {
        database.run("insert into note values (?)", [title])
        record(stream, title)
        if (stop) throw new Error("stop")
      })()
    write("kept", false)
    expect(() => write("undone", true)).toThrow("stop")
    expect(database.query("select title from note").all()).toEqual([{ title: "kept" }])
    expect(stream.status()).toMatchObject({ recorded: 1, pending: 1 })
    await outbox.close({ flush_ms: 0 })
    // The handle is the host's: it stays open.
    expect(database.query("select count(*) as n from sturdy_op").get()).toEqual({ n: 1 })
  })
})

test("a SturdyError has a code of the closed set, and a hint", async () => {
  await using it = await openNotes()
  const error = errorOf(() => it.outbox.stream("nobody"))
  expect(error).toBeInstanceOf(SturdyError)
  expect(error.hint.length).toBeGreaterThan(0)
})
