/** One capture: the situation, the terminal, and stand-ins for what is of this machine only. */
import { rmSync } from "node:fs"
import { join } from "node:path"
import { type SituationName, situations } from "../situation/situations.ts"
import { makeHome, withStandIns } from "./stand-in.ts"
import { show, type Shown } from "./terminal.ts"

export interface Capture {
  situation: SituationName
  width: number
  height: number
  /** Capture after so long what does not end by itself. */
  after_s?: number | undefined
  /** After `sturdy`; `{name}` is one of the situation's names. */
  command: readonly string[]
}

/** What of it shows in a text that follows: the command as a person would type it. */
export interface Captured extends Shown {
  typed: string
}

const cli = join(import.meta.dir, "..", "..", "..", "src", "cli", "main.ts")

export async function capture({ situation, width, height, after_s, command }: Capture): Promise<Captured> {
  const home = makeHome()
  try {
    await using made = await situations[situation](home)
    const words = command.map((word) => word.replace(/\{(\w+)\}/g, (all, name: string) => made.names[name] ?? all))
    const shown = await show([process.execPath, cli, ...words], { width, height, env: made.env, after_s })
    return {
      ...shown,
      plain: withStandIns(shown.plain, made),
      coloured: withStandIns(shown.coloured, made),
      typed: withStandIns(["sturdy", ...words].join(" "), made),
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** @throws Error naming those that there are. */
export function situationNamed(name: string): SituationName {
  const known = Object.keys(situations).find((situation) => situation === name)
  if (known) return known as SituationName
  throw new Error(`no situation ${name}: there are ${Object.keys(situations).join(", ")}`)
}
