/** `sturdy unblock`: a block lifted by a person, with what they change so that it does not come back. */
import { blockTable, isBlockReason } from "../flusher/block.ts"
import { readStreams } from "../inspect/status.ts"
import { endpointOf, endpointProblem } from "../wire/endpoint.ts"
import type { Outbox } from "../index.ts"
import { actingOutbox } from "./outbox/acting.ts"
import { type Command, textOption, UsageError } from "./input/command.ts"
import { checkStream } from "./input/known-stream.ts"
import { commandLine } from "./outbox/command-line.ts"
import { lookAtOutbox } from "./outbox/looking.ts"
import { dbHelp, dbOption, dbUsage, type OutboxPlace } from "./outbox/outbox-place.ts"
import { secretHelp, secretOption } from "./input/secret-file.ts"
import { note, print, printable, printJson } from "./output/terminal.ts"
import { untilText } from "./output/words.ts"

export const unblock: Command = {
  name: "unblock",
  summary: "lift a stream's block: now, or with another secret or service",
  usage: `STREAM… | --all [--reason REASON] [--secret-file FILE] [--service URL] [--accept-server] ${dbUsage} [--json]`,
  help: `
Lifts the block that stops a stream: what is pending is due at once, but not before a Retry-After of the service. It is sent
by the program that has the outbox open, within the length of a lease, or by \`sturdy flush\`. If what blocked it is not
mended, the stream stands again, and nothing is lost.

  --all               every blocked stream,
  --reason REASON     … that is blocked for this reason
${secretHelp}
  --service URL       the service has moved: its new endpoint
  --accept-server     another server answers there now, and is meant: what is kept here is sent to it
${dbHelp}
  --json              {"version","stream","was"} per stream; was: the reason, or null`,
  options: {
    ...dbOption,
    all: { type: "boolean" },
    reason: { type: "string" },
    "secret-file": { type: "string" },
    service: { type: "string" },
    "accept-server": { type: "boolean" },
  },
  positionals: [0, Infinity],
  async run(input) {
    const { all, json } = input.options
    const reason = textOption(input, "reason")
    if ((all === true) === input.positionals.length > 0)
      throw new UsageError(all ? "either STREAMs or --all" : "which stream? Name it, or say --all", unblock)
    if (reason !== undefined && !all) throw new UsageError("--reason goes with --all", unblock)
    const change = changeOf(input)
    if (change.secret !== undefined && input.positionals.length !== 1)
      throw new UsageError("a secret is that of one stream: name one", unblock)
    const streams = lookAtOutbox(input, (db) => {
      for (const name of input.positionals) checkStream(db, name)
      return readStreams(db)
    })
    const blocked = streams.filter(({ block }) => block !== null && (reason ?? block) === block)
    const names = all ? blocked.map(({ stream }) => stream) : input.positionals
    const waits = new Map(streams.map(({ stream, next_attempt_at }) => [stream, next_attempt_at ?? 0]))
    if (names.length === 0) {
      if (reason !== undefined && !isBlockReason(reason))
        throw new UsageError(`--reason must be one of ${Object.keys(blockTable).join(", ")}, got ${reason}`, unblock)
      note(reason === undefined ? "no stream is blocked" : `no stream is blocked by ${printable(reason)}`)
      return 0
    }
    return actingOutbox(input, (outbox, place) => {
      for (const name of names) {
        const stream = outbox.stream(name)
        const was = stream.status().block?.reason ?? null
        stream.unblock(change)
        if (json) printJson({ version: 1, stream: name, was })
        else print(`${printable(name)}: ${liftedText(was, change, waits.get(name)!)}${changedText(change)}`)
      }
      if (!json) for (const line of nextLines(outbox, names, place)) note(line)
      return 0
    })
  },
}

function liftedText(was: string | null, { secret, service }: Change, next_attempt_at: number): string {
  const now = Date.now()
  if (was === null && (service !== undefined || next_attempt_at <= now)) return "was not blocked"
  if (was === null)
    return `was not blocked; by its backoff, or as its service asked, it is tried again ${untilText(next_attempt_at, now)}`
  const isSame = (was === "revoked" || was === "expired") && secret === undefined
  return `the block ${was} is lifted${isSame ? "; with the same secret it will stand again" : ""}`
}

/** When it goes on: at once, or when the service asked for it. */
function nextLines(outbox: Outbox, names: readonly string[], place: OutboxPlace): string[] {
  const pending = names.map((name) => outbox.stream(name).status()).filter(({ pending }) => pending > 0)
  if (pending.length === 0) return []
  return [`sent by whoever has the outbox open, or by \`${commandLine(place, "flush")}\``]
}

type Change = { secret?: string; service?: string; acceptServer?: boolean }

function changeOf(input: Parameters<Command["run"]>[0]): Change {
  const secret = secretOption(unblock, input)
  const service = textOption(input, "service")
  const problem = service === undefined ? undefined : endpointProblem(service)
  if (problem) throw new UsageError(`--service ${problem}`, unblock)
  return {
    ...(secret !== undefined && { secret }),
    // An origin alone is that of a service at its usual path.
    ...(service !== undefined && { service: new URL(service).pathname === "/" ? endpointOf(service) : service }),
    ...(input.options["accept-server"] === true && { acceptServer: true }),
  }
}

/** Never the secret. */
function changedText({ secret, service, acceptServer }: Change): string {
  const changed = [
    secret !== undefined && "another secret is stored",
    service !== undefined && `the service is ${service}`,
    acceptServer && "whatever server answers next is taken for its own",
  ].filter(Boolean)
  return changed.length > 0 ? `; ${changed.join("; ")}` : ""
}
