/** A host by the real clock: opens the outbox, records what it is told to, and says what happens until it is ended. */
import { openOutbox } from "../../../src/index.ts"
import { say, told } from "../../torture/child.ts"
import { importEntries, saveNotes } from "./notes.ts"

export interface HostConfig {
  file: string
  /** Saves so many notes of the stream `notes` once. */
  notes?: number
  /** Imports so many entries into the stream `diary` once. */
  entries?: number
  /** Saves another note of the stream `notes` again and again, so long after the one before. */
  note_every_ms?: number
}

/** `settled`: nothing is left that can be sent. */
export interface HostSaid {
  is: "open" | "lease" | "sent" | "settled"
}

const { file, notes, entries, note_every_ms } = JSON.parse(process.argv[2]!) as HostConfig
const outbox = openOutbox(file)
const tell = (is: HostSaid["is"]) => say({ is } satisfies HostSaid)
outbox.on("lease", ({ held }) => held && tell("lease"))
outbox.on("sent", () => tell("sent"))
if (notes) saveNotes(outbox.stream("notes"), notes, "second draft")
if (entries) importEntries(outbox, outbox.stream("diary"), entries, 100)
tell("open")
if (note_every_ms !== undefined) {
  let count = 0
  setInterval(() => {
    count += 1
    outbox.stream("notes").record({ method: "note.put", args: [{ id: `note_live_${count}`, text: "typing …" }] })
  }, note_every_ms)
}
void outbox.flush().then(() => tell("settled"))
await told()
await outbox.close({ flush_ms: 0 })
