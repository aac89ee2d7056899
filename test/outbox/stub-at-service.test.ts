/** A stub at a service's URL: the same line of a program finds the same stream at every run. */
import { expect, test } from "bun:test"
import type { Methods } from "../../src/service/index.ts"
import { openBox } from "../flusher/box.ts"
import { errorOf } from "../sturdy-error.ts"

interface NotesApi {
  create(input: { title: string }): { title: string }
}

const methods: Methods = { create: (_, note) => note }

const service = "http://share.example/rpc/share"
const options = { name: "notes", create: { session_id: "my notes" } }
const open = () => openBox({ service: { methods } })

test("is the same line at every run: the share is created once, and what was pending goes on", async () => {
  await using box = await open()
  for (const title of ["first run", "second run"]) {
    const outbox = box.open()
    const note = outbox.stub<NotesApi>(service, options).create({ title })
    expect(await box.run(outbox.result(note))).toMatchObject({ title })
    expect(outbox.streams()).toHaveLength(1)
    await box.close(outbox)
  }
  expect(box.sent.flatMap(({ calls }) => calls).filter((call) => call === "createShare")).toHaveLength(1)
  expect(box.row("notes")).toMatchObject({ post_count: 2, service })
})

test("of two processes that are first at once one creates the stream, and the other takes that", async () => {
  await using box = await open()
  const first = box.open()
  // Drawn when the stream was looked for and is not there yet.
  const { random } = box.seams
  let meanwhile = () => {}
  const bytes = (count: number) => {
    meanwhile()
    return random.bytes(count)
  }
  const second = box.openBeside({ seams: { ...box.seams, random: { ...random, bytes } } })
  meanwhile = () => {
    meanwhile = () => {}
    first.stub<NotesApi>(service, options).create({ title: "first" })
  }
  const notes = second.stub<NotesApi>(service, options)
  expect(meanwhile.toString()).toBe("() => {}")
  await box.run(second.result(notes.create({ title: "second" })))
  expect([second.streams().length, box.sent[0]!.batches[0]!.ops.length]).toEqual([1, 2])
})

test("of a stream whose secret was changed takes the stored one", async () => {
  await using box = await open()
  const outbox = box.open()
  outbox.stub<NotesApi>(service, options)
  outbox.stream("notes").unblock({ secret: "another_secret_0123456789" })
  outbox.stub<NotesApi>(service, options)
  expect(box.row("notes").secret).toBe("another_secret_0123456789")
})

test("refuses a stream of that name at another service, and says what to do", async () => {
  await using box = await open()
  const outbox = box.open()
  outbox.stub<NotesApi>(service, options)
  const error = errorOf(() => outbox.stub<NotesApi>("http://other.example/rpc/share", options))
  expect([error.code, error.message.includes(service)]).toEqual(["stream_conflict", true])
  expect(error.hint).toContain("unblock({ service })")
})

test("refuses a URL that is none, no name, and no create for a stream that is not there, and writes nothing", async () => {
  await using box = await open()
  const outbox = box.open()
  const calls = [
    () => outbox.stub("notes", options),
    () => outbox.stub("http://a:s3cr3t@x.example", options),
    () => outbox.stub(service, { create: options.create } as never),
    () => outbox.stub(service, { ...options, name: "" }),
    () => outbox.stub(service, { name: "notes" }),
    () => outbox.stub(service, { ...options, session_id: "x" } as never),
  ]
  for (const error of calls.map((call) => errorOf(call)))
    expect([error.code, error.message.includes("s3cr3t")]).toEqual(["invalid_argument", false])
  expect(outbox.streams()).toEqual([])
  outbox.stub(service, options)
  outbox.stub(service, { name: "notes" })
  expect(outbox.streams()).toHaveLength(1)
})
