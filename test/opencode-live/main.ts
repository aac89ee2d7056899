/**
 * The trials on the real opencode program: `npm run test:opencode [-- [--baseline] [--transport T] [trial …] [--json]]`.
 * Exit code 1 if anything is not as it must be; 0 with one line where opencode cannot be installed.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { tempDir } from "../temp-dir.ts"
import { seedAt } from "./box.ts"
import { installOpencode } from "./install.ts"
import { play, type Played } from "./play.ts"
import { openProvider, type Provider } from "./provider.ts"
import { comparison, readBaseline, storeBaseline, tableOf, writeDocument } from "./result.ts"
import { builtIn, plugin, transports, type Subject, type Transport } from "./subject.ts"
import type { Trial } from "./trial.ts"
import { furtherTrials } from "./further-trials.ts"
import { trials } from "./trials.ts"
import { measure, timingText, type Timing } from "./timing.ts"

const usage = `usage: npm run test:opencode -- [--baseline] [--transport ${transports.join("|")}] [--jobs N] [--keep] [--write] [--json] [trial …]`

const { values, positionals } = parseArgs({
  options: {
    baseline: { type: "boolean", default: false },
    transport: { type: "string", default: "rpc" },
    jobs: { type: "string", default: "1" },
    keep: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
  allowPositionals: true,
})
process.exit(await main())

async function main(): Promise<number> {
  const transport = transports.find((name) => name === values.transport)
  const jobs = Number(values.jobs)
  const known = values.baseline ? trials : [...trials, ...furtherTrials]
  const unknown = positionals.filter((name) => name !== "timing" && !known.some((trial) => trial.name === name))
  if (!transport || !Number.isSafeInteger(jobs) || jobs < 1 || unknown.length > 0) {
    console.error(unknown.length > 0 ? `no trial ${unknown.join(", ")}; --list says which there are` : usage)
    return 2
  }
  if (values.list) {
    for (const { name, what } of known) console.log(`${name.padEnd(20)} ${what}`)
    console.log("timing               what the plugin costs (minutes; only when it is named)")
    return 0
  }
  const installed = installOpencode()
  if ("missing" in installed) return skipped(installed.missing)
  const chosen = known.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  return run(installed.binary, transport, chosen, jobs)
}

async function run(binary: string, transport: Transport, chosen: readonly Trial[], jobs: number): Promise<number> {
  await using provider = openProvider()
  const nobody = "http://127.0.0.1:9"
  const recorder = `file://${join(import.meta.dir, "recorder-plugin.ts")}`
  const seed = await seedAt(join(import.meta.dir, "node_modules", ".seed"), {
    binary,
    provider_url: provider.url,
    share_url: nobody,
    plugins: [recorder],
  })
  if (!seed) return skipped("opencode cannot install its own @opencode-ai/plugin here")
  const subject = values.baseline ? builtIn : plugin(transport)
  const folder = tempDir()
  const common = { binary, seed, provider, subject }
  const played = await playAll(common, chosen, jobs, folder.path)
  const timing = positionals.includes("timing") ? await measure({ ...common, folder: folder.path }, note) : undefined
  const wrong = values.baseline ? [] : played.flatMap(({ name, wrong }) => wrong.map((line) => `${name}: ${line}`))
  if (values.json) console.log(JSON.stringify({ version: 1, subject: subject.name, trials: played, timing, wrong }))
  else {
    if (played.length > 0) console.log(values.baseline ? tableOf(played) : comparison(played, readBaseline()))
    if (timing) console.log(timingText(timing))
  }
  if (values.write) write(played, timing)
  for (const line of wrong) console.error(`WRONG: ${line}`)
  if (values.keep) console.error(`kept: ${folder.path}`)
  else await folder[Symbol.asyncDispose]()
  return wrong.length > 0 ? 1 : 0
}

function write(played: readonly Played[], timing: Timing | undefined): void {
  if (values.baseline) return storeBaseline(played)
  if (played.length > 0) writeDocument("trials", comparison(played, readBaseline()))
  if (timing) writeDocument("times", timingText(timing))
}

function note(text: string): void {
  console.error(text)
}

interface Common {
  binary: string
  seed: string
  provider: Provider
  subject: Subject
}

async function playAll(common: Common, chosen: readonly Trial[], jobs: number, path: string): Promise<Played[]> {
  const played: Played[] = []
  let next = 0
  const work = async () => {
    for (let at = next++; at < chosen.length; at = next++) {
      const trial = chosen[at]!
      const folder = join(path, trial.name)
      mkdirSync(folder)
      const result = await play({ ...common, folder }, trial)
      played[at] = result
      const verdict = result.wrong.length === 0 ? "as it must be" : result.wrong.join(", ")
      console.error(`${String(at + 1).padStart(2)}/${chosen.length} ${trial.name}, ${result.seconds} s: ${verdict}`)
    }
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return played
}

function skipped(reason: string): number {
  console.log(`skipped: ${reason}`)
  return 0
}
