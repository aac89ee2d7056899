/** The faults that a system call can meet, and the libraries that make them. */
import { join } from "node:path"
import { buildModel, canBuild } from "../power-loss/cut.ts"

export { canBuild }

export interface Mode {
  /** `forget`: power loss, everything that was not synced may be gone. */
  kind: "crash" | "torn" | "forget" | "eio" | "enospc"
  /** Per mille of a torn write that reach the file. */
  keep?: number
  /** The fault stays until it is healed; else one call fails. */
  sticky?: true
  /** What was refused is recorded again, with the same captureIds. */
  repeat?: true
  /** Before the power fails, a sync does: what it should have written is not on the disk, and the kernel thinks it is. */
  afterSync?: true
}

export const modes = {
  crash: { kind: "crash" },
  torn_first: { kind: "torn", keep: 130 },
  torn_half: { kind: "torn", keep: 500 },
  torn_last: { kind: "torn", keep: 990 },
  power: { kind: "forget" },
  power_after_eio: { kind: "forget", afterSync: true },
  eio: { kind: "eio" },
  eio_repeated: { kind: "eio", repeat: true },
  eio_sticky: { kind: "eio", sticky: true },
  eio_sticky_repeated: { kind: "eio", sticky: true, repeat: true },
  enospc: { kind: "enospc" },
  enospc_repeated: { kind: "enospc", repeat: true },
  enospc_sticky: { kind: "enospc", sticky: true },
  enospc_sticky_repeated: { kind: "enospc", sticky: true, repeat: true },
} as const satisfies Record<string, Mode>

export type ModeName = keyof typeof modes

export interface Fault extends Mode {
  /** The call that meets it, from 1. */
  at: number
  /** What a power loss forgets. */
  seed?: number
  /** The sync that fails before it, from 1. */
  sync?: number
}

/** Paths of what is built once. */
export interface Libraries {
  fault: string
  power: string
  /** The process under test in one file: it starts in half the time. */
  life: string
}

export async function buildLibraries(folder: string): Promise<Libraries> {
  const fault = join(folder, "fault.so")
  const source = join(import.meta.dir, "fault.c")
  const gcc = Bun.spawn(["gcc", "-shared", "-fPIC", "-O2", "-o", fault, source, "-ldl", "-lpthread"])
  if ((await gcc.exited) !== 0) throw new Error("gcc could not build fault.c")
  const entrypoint = join(import.meta.dir, "life-fixture.ts")
  const { outputs } = await Bun.build({ entrypoints: [entrypoint], target: "bun", outdir: folder, minify: true })
  return { fault, power: await buildModel(folder), life: outputs[0]!.path }
}

/** Environment of a process that meets the fault; without one its calls are only noted. */
export function environmentOf(libraries: Libraries, fault: Fault | undefined, place: Place): Record<string, string> {
  if (fault?.kind === "forget")
    return {
      LD_PRELOAD: libraries.power,
      PL_DIR: place.before,
      PL_OUT: place.after,
      PL_CUT: String(fault.at),
      PL_SEED: String(fault.seed ?? 1),
      ...(fault.sync !== undefined && { PL_EIO: String(fault.sync) }),
    }
  return {
    LD_PRELOAD: libraries.fault,
    FAULT_DIR: place.before,
    FAULT_LOG: place.log,
    FAULT_HEAL: place.heal,
    ...(fault && { FAULT_AT: String(fault.at), FAULT_KIND: fault.kind }),
    ...(fault?.keep !== undefined && { FAULT_KEEP: String(fault.keep) }),
    ...(fault?.sticky && { FAULT_STICKY: "1" }),
  }
}

export interface Place {
  /** Folder of the outbox, where calls meet the fault. */
  before: string
  /** Where a power loss leaves what it spared. */
  after: string
  /** The calls, a line each. */
  log: string
  /** Made when a fault that stays is to end. */
  heal: string
}
