/** `sturdy ref rotate`: another secret for a share, so that whoever has the old one is out. */
import type { Outbox } from "../index.ts"
import type { StreamRow } from "../store/stream.ts"
import { actingOutbox } from "./outbox/acting.ts"
import type { Command } from "./input/command.ts"
import { confirmed, yesHelp, yesOption } from "./input/confirm.ts"
import { checkStream } from "./input/known-stream.ts"
import { commandLine } from "./outbox/command-line.ts"
import { lookAtOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, type OutboxPlace } from "./outbox/outbox-place.ts"
import { headerHelp, headerOptions, headersOption, headerUsage } from "./input/service-header.ts"
import { wrapped } from "./output/table.ts"
import { note, print, printable, printJson, terminalWidth } from "./output/terminal.ts"

export const refRotate: Command = {
  name: "ref rotate",
  summary: "give a stream's share another secret; whoever has the old one is out",
  usage: `STREAM [--yes] ${headerUsage} ${dbUsage} [--json]`,
  help: `
Draws another secret for the share, stores it here, and has the service take it in the place of the old one. From then on the
old secret and every capability that was derived from it open nothing. The program that has the outbox open goes on with the new
one by itself. Needs the root capability, and a service that speaks Cap'n Web (rpc). Stopped at any point nothing is lost:
repeating it goes on where it stands. The secret is printed nowhere.

${yesHelp}
${headerHelp}
${dbHelp}
  --json         {"version","stream","share_id","epoch"}`,
  options: { ...dbOption, ...yesOption, ...headerOptions },
  positionals: 1,
  async run(input) {
    const name = input.positionals[0]!
    const { share_id, service } = lookAtOutbox(input, (db) => {
      checkStream(db, name)
      const row = db.prepare("select service, share_id from sturdy_stream where name = ?").get(name)
      return row as Pick<StreamRow, "service" | "share_id">
    })
    const headers = headersOption(refRotate, input, [service])
    const question = `Every capability that was derived from the old secret dies. Give share ${share_id} another secret?`
    if (!(await confirmed(refRotate, input, question))) {
      note("nothing was changed")
      return 1
    }
    const rotate = async (outbox: Outbox, place: OutboxPlace) => {
      const { epoch } = await outbox.stream(name).rotate()
      if (input.options.json) printJson({ version: 1, stream: name, share_id, epoch })
      else for (const line of rotatedLines({ name, share_id, epoch }, place)) print(line)
      return 0 as const
    }
    return actingOutbox(input, rotate, headers && { headers })
  },
}

function rotatedLines(
  { name, share_id, epoch }: { name: string; share_id: string; epoch: number },
  place: OutboxPlace,
): string[] {
  const width = terminalWidth()
  return [
    `${printable(name)}: share ${share_id} has another secret, epoch ${epoch}`,
    ...wrapped("Every capability that was derived from the old one is dead: hand out new ones.", width, "  "),
    ...wrapped(
      "A program that passes the ref at every start gets stream_conflict: let it open the stream by its name alone, or give it the new ref. Copies of this outbox, backups too, hold the old one.",
      width,
      "  ",
    ),
    "  To see it, at a terminal:",
    `    ${commandLine(place, "ref", "show", { name }, "--secret")}`,
  ]
}
