/** Compile-time tests: `npx tsc --noEmit` fails where a line marked @ts-expect-error is no error. */
import { expect, test } from "bun:test"
import { openOutbox, type Intent, type Outbox, type Referable, type Stub, type SturdyRef } from "../../src/index.ts"
import { tempDir } from "../temp-dir.ts"

interface Note {
  id: string
  title: string
  tags: { name: string; weight: number }[]
  made: Date
  by?: { name: string }
}

interface NotesApi {
  create(input: { title: string; body?: string }): Promise<Note>
  addTag(id: string, tag: string): void
  move(id: string, place: number): Promise<number>
  list(): Promise<Note[]>
  schedule(at: Date, bytes: Uint8Array): Promise<void>
  merge(input: { ids: string[]; into: { id: string } }): Promise<Note>
  version: string
}

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function expectType<_ extends true>(): void {}

export function calls(notes: Stub<NotesApi>): void {
  const note = notes.create({ title: "Plan" })
  expectType<Equal<typeof note, Intent<Note>>>()
  // @ts-expect-error an argument is missing
  notes.create()
  // @ts-expect-error one too many
  notes.create({ title: "Plan" }, 1)
  // @ts-expect-error of another type
  notes.create({ title: 7 })
  // @ts-expect-error a field that is not there
  notes.create({ title: "Plan", colour: "red" })
  // @ts-expect-error no such method
  notes.destroy()
  // @ts-expect-error not a method
  void notes.version
  notes.schedule(new Date(), new Uint8Array())
  // @ts-expect-error a Date is whole or not at all
  notes.schedule({ getTime: 1 }, new Uint8Array())
}

function references(notes: Stub<NotesApi>): void {
  const note = notes.create({ title: "Plan" })
  notes.addTag(note.id, "work")
  notes.addTag(note.id, note.title)
  notes.move(note.id, notes.move(note.id, 3))
  notes.create({ title: note.title })
  notes.merge({ ids: [note.id, "note_2"], into: { id: note.id } })
  notes.merge({ ids: ["note_1"], into: note })
  notes.addTag(note.tags[0]!.name, note.tags[1]!.name)
  notes.schedule(note.made, new Uint8Array())
  // @ts-expect-error an Intent of a number where a text belongs
  notes.addTag(note.tags[0]!.weight, "x")
  // @ts-expect-error the whole note where its id belongs
  notes.addTag(note, "x")
  // @ts-expect-error inside an object too
  notes.create({ title: note.tags[0]!.weight })
  // @ts-expect-error inside an array too
  notes.merge({ ids: [note.tags[0]!.weight], into: note })
  // @ts-expect-error no such property of the result
  void note.colour
  // @ts-expect-error arrays have items, not the methods that they inherit
  void note.tags.map
}

export async function results(outbox: Outbox, notes: Stub<NotesApi>): Promise<void> {
  const note = notes.create({ title: "Plan" })
  const value = await outbox.result(note)
  expectType<Equal<typeof value, Note>>()
  const place = await outbox.result(notes.move("note_1", 2))
  expectType<Equal<typeof place, number>>()
  const list = await outbox.result(notes.list())
  expectType<Equal<typeof list, Note[]>>()
  const nothing = await outbox.result(notes.addTag("note_1", "x"))
  expectType<Equal<typeof nothing, void>>()
  // @ts-expect-error a value is no Intent
  await outbox.result(value)
}

export async function waiting(notes: Stub<NotesApi>): Promise<void> {
  const note = notes.create({ title: "Plan" })
  const awaited = await note
  // What await gives is the Intent, never the value.
  expectType<Equal<typeof awaited, Intent<Note>>>()
  // @ts-expect-error not a promise
  note.then((value) => value)
  // @ts-expect-error not a promise
  void Promise.resolve<Note>(note)
  // @ts-expect-error an Intent of a text is no text
  const id: string = note.id
  void id
  // @ts-expect-error cannot be assigned to
  note.title = "other"
}

export function stubs(outbox: Outbox, ref: SturdyRef): void {
  const made = outbox.stub<NotesApi>(ref, { name: "notes" })
  expectType<Equal<typeof made, Stub<NotesApi>>>()
  // @ts-expect-error a ref has a secret
  outbox.stub<NotesApi>({ service: "http://x.example", share_id: "share_of_the_test" })
  const found = outbox.stub<NotesApi>("http://x.example/rpc", { name: "notes", create: { session_id: "s" } })
  expectType<Equal<typeof found, Stub<NotesApi>>>()
  // @ts-expect-error by its URL alone the stream would not be found again
  outbox.stub<NotesApi>("http://x.example/rpc", { create: { session_id: "s" } })
  // @ts-expect-error neither
  outbox.stub<NotesApi>("http://x.example/rpc")
}

export function referable(): void {
  const text: Referable<string> = "x"
  void text
  // @ts-expect-error neither the value nor an Intent of it
  const wrong: Referable<string> = 7
  void wrong
}

test("what the types allow is what can be recorded", async () => {
  await using dir = tempDir()
  const outbox = openOutbox(dir.file())
  outbox.pause()
  const ref = outbox.newRef("http://notes.example/rpc/share")
  references(outbox.stub<NotesApi>(ref, { name: "notes" }))
  expect(outbox.stream("notes").status().recorded).toBe(14)
  await outbox.close({ flush_ms: 0 })
})
