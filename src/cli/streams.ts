/** `sturdy streams`: every stream of the outbox, a row each. */
import { readLease } from "../inspect/lease.ts"
import { readStreams, streamStates } from "../inspect/status.ts"
import { type Command, wordOption } from "./input/command.ts"
import { readOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage } from "./outbox/outbox-place.ts"
import { streamTable } from "./text/stream-table.ts"
import { note, print, printJson, terminalWidth } from "./output/terminal.ts"

export const streams: Command = {
  name: "streams",
  summary: "every stream: state, pending, cursor, last ack, next attempt",
  usage: `${dbUsage} [--state STATE] [--json]`,
  help: `
Lists every stream of the outbox. Only reads.

${dbHelp}
  --state STATE  ${streamStates.join(", ")}
  --json         one stream per line`,
  options: { ...dbOption, state: { type: "string" } },
  positionals: 0,
  async run(input) {
    const state = wordOption(streams, input, "state", streamStates)
    const now = Date.now()
    const { all, lease } = readOutbox(input, (db) => ({ all: readStreams(db), lease: readLease(db, now) }))
    const found = all.filter((stream) => state === undefined || stream.state === state)
    if (input.options.json) for (const stream of found) printJson({ version: 1, ...stream })
    else if (found.length > 0)
      for (const line of streamTable(found, { now, lease, width: terminalWidth() })) print(line)
    else note(all.length === 0 ? "no streams yet" : `no stream is ${state}`)
    return 0
  },
}
