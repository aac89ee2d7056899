/** The commands, and how they are found by the words that begin a command line. */
import type { Command } from "./input/command.ts"

/** Loaded when asked for. `dead` and `ref` alone are the first of their group. */
const commands: Record<string, () => Promise<Command>> = {
  status: async () => (await import("./status.ts")).status,
  streams: async () => (await import("./streams.ts")).streams,
  ops: async () => (await import("./ops.ts")).ops,
  batches: async () => (await import("./batches.ts")).batches,
  show: async () => (await import("./show.ts")).show,
  watch: async () => (await import("./watch.ts")).watch,
  "dead list": async () => (await import("./dead-list.ts")).deadList,
  "dead show": async () => (await import("./dead-show.ts")).deadShow,
  "dead retry": async () => (await import("./dead-retry.ts")).deadRetry,
  "dead discard": async () => (await import("./dead-discard.ts")).deadDiscard,
  unblock: async () => (await import("./unblock.ts")).unblock,
  flush: async () => (await import("./flush.ts")).flush,
  "ref show": async () => (await import("./ref-show.ts")).refShow,
  "ref rotate": async () => (await import("./ref-rotate.ts")).refRotate,
  doctor: async () => (await import("./doctor.ts")).doctor,
  export: async () => (await import("./export.ts")).exportOps,
  backup: async () => (await import("./backup.ts")).backup,
  serve: async () => (await import("./serve.ts")).serve,
  replay: async () => (await import("./replay.ts")).replay,
  simulate: async () => (await import("./simulate.ts")).simulate,
}

export const commandNames = Object.keys(commands)

export interface Found {
  command: Command
  /** What follows its name. */
  rest: string[]
}

export async function loadCommand([name = "", second, ...rest]: string[]): Promise<Found | undefined> {
  const two = second === undefined ? "" : `${name} ${second}`
  if (Object.hasOwn(commands, two)) return { command: await commands[two]!(), rest }
  const all = second === undefined ? [] : [second, ...rest]
  if (Object.hasOwn(commands, name)) return { command: await commands[name]!(), rest: all }
  const first = commandNames.find((known) => known.startsWith(`${name} `))
  // A word that is no option would be one of the group, and is not.
  if (first === undefined || (second !== undefined && !second.startsWith("-"))) return
  return { command: await commands[first]!(), rest: all }
}

export async function overview(): Promise<string> {
  const all = await Promise.all(Object.values(commands).map((load) => load()))
  return [
    "Sturdy: durable, replayable op intents for Cap'n Web.",
    "",
    "usage: sturdy COMMAND [options]",
    "",
    ...all.map((command) => `  ${command.name.padEnd(14)}${command.summary}`),
    "",
    "Which outbox: --db FILE, else STURDY_DB, else that of opencode's plugin.",
    "Every command: --json prints one JSON object per line; --help says more.",
    "Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 needs a person.",
  ].join("\n")
}
