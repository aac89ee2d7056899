/** A notes app beside opencode: its methods at the service, and what its users do, the same at every run. */
import { type Methods, Rejection } from "../../../src/service/index.ts"
import type { Outbox, Stream } from "../../../src/index.ts"

/** For what the service rejects. */
export interface NoteRules {
  /** Names of folders that somebody else has. */
  taken: Set<string>
  text_chars_max: number
}

/** The app's API, for `outbox.stub`. */
export interface Notes {
  "folder.create"(folder: { name: string }): { id: string }
  "note.create"(note: { folder: string; title: string; text: string }): { id: string; path: string }
  "note.tag"(note: string, tag: string): { id: string }
  "attachment.put"(on: string, name: string): { id: string; url: string }
  "comment.put"(on: string, text: string): null
}

export function noteMethods(rules: NoteRules): Methods {
  const idOf = (kind: string, op_id: string) => `${kind}_${op_id.slice(-10).toLowerCase()}`
  const checkText = (text: unknown) => {
    if (typeof text === "string" && text.length > rules.text_chars_max)
      throw new Rejection("text_too_long", `a note has at most ${rules.text_chars_max} characters, got ${text.length}`)
  }
  return {
    "folder.create": ({ op_id }, folder) => {
      const { name } = folder as { name: string }
      if (rules.taken.has(name)) throw new Rejection("name_taken", `there is a folder "${name}" already`)
      return { id: idOf("fld", op_id) }
    },
    "note.create": ({ op_id }, note) => {
      const { folder, text } = note as { folder: string; text: string }
      checkText(text)
      return { id: idOf("note", op_id), path: `${folder}/${op_id}` }
    },
    "note.put": (_, note) => {
      checkText((note as { text?: unknown }).text)
      return null
    },
    "note.tag": ({ op_id }) => ({ id: idOf("tag", op_id) }),
    "attachment.put": ({ op_id }, _, name) => ({ id: idOf("att", op_id), url: `/files/${String(name)}` }),
    "comment.put": () => null,
    "entry.add": () => null,
  }
}

const titles = ["Shopping", "Bread", "Trip to Oslo", "Standup", "Reading list", "Garden", "Invoices", "Ideas"]
const sentence = "Flour, water, salt, and time: knead once, fold four times, rest overnight in the cold. "

/** Saves each of these notes once; the key makes a later save of the same note replace an earlier one that waits. */
export function saveNotes(stream: Stream, count: number, text = "first draft"): void {
  for (let n = 0; n < count; n++)
    stream.record({
      method: "note.put",
      key: `note/${n + 1}`,
      args: [
        { id: `note_${n + 1}`, title: titles[n % titles.length], text: `${text}: ${sentence.repeat(1 + (n % 4))}` },
      ],
    })
}

/** An import of old entries, in units: none of them is ever replaced. */
export function importEntries(outbox: Outbox, stream: Stream, count: number, unit_ops = 40): void {
  for (let n = 0; n < count; n += unit_ops)
    outbox.unit(() => {
      for (let i = n; i < Math.min(n + unit_ops, count); i++)
        stream.record({ method: "entry.add", args: [{ line: i + 1, of: "diary-2019.md", text: sentence }] })
    })
}
