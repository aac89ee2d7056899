/**
 * What the plugin costs, with and without it in one run: time in its event hook, turns, gaps in opencode's event loop
 * under a minute of 300 events a second, and the wall time of `opencode run --share`.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Box } from "./box.ts"
import { runOnce, serve, type Serving } from "./process.ts"
import { table } from "./result.ts"
import { Service } from "./service.ts"
import type { Ground } from "./trial.ts"

interface Measured {
  /** Time in the hook per event that is no delta: most are recorded. */
  states_us: number[]
  deltas_us: number[]
  gap_ms: number[]
}

interface Spread {
  p50: number
  p99: number
  max: number
}

interface Stream {
  events_per_s: number
  states_us: Spread
  deltas_us: Spread
  gap_ms: Spread
}

/** With the plugin, or without any; `down`: with it and a service that is down. */
export interface Timing {
  turn_ms: { without: number; with: number }
  turn_states_us: Spread
  stream: { without: Stream; with: Stream }
  run_ms: { without: number; with: number; down: number }
}

const turns = 20
const runs = 5
/** A chunk every 3 ms, and each is an event. */
const minute = "[[drip 16000 3]]"

export async function measure(ground: Ground, said: (what: string) => void): Promise<Timing> {
  await using sides = await openSides(ground)
  said(`${turns} turns each, alternating`)
  const durations = { without: [] as number[], with: [] as number[] }
  for (let turn = 0; turn < turns; turn++)
    for (const side of ["without", "with"] as const)
      durations[side].push(await timed(() => sides[side].serving.client.prompt(sides[side].session, "[[drip 100 4]]")))
  const turn_states_us = spread(measuredIn(sides.with.file).flatMap(({ states_us }) => states_us))
  said("a minute of 300 events a second, twice")
  const stream = { without: await streamed(sides.without), with: await streamed(sides.with) }
  return {
    turn_ms: { without: median(durations.without), with: median(durations.with) },
    turn_states_us,
    stream,
    run_ms: await timeRuns(ground, said),
  }
}

export function timingText({ turn_ms, turn_states_us, stream, run_ms }: Timing): string {
  const us = ({ p50, p99, max }: Spread) => `${p50} / ${p99} / ${max}`
  const { without: bare, with: used } = stream
  return table(
    ["", "without the plugin", "with the plugin"],
    [
      [`a turn of 100 chunks (ms, median of ${turns})`, String(turn_ms.without), String(turn_ms.with)],
      ["its event hook, states (µs: p50 / p99 / max)", "–", us(turn_states_us)],
      ["events per second, for a minute", String(bare.events_per_s), String(used.events_per_s)],
      ["event hook in that minute, states (µs)", "–", us(used.states_us)],
      ["event hook in that minute, deltas (µs)", "–", us(used.deltas_us)],
      ["gap in opencode's loop (ms: p50 / p99 / max)", us(bare.gap_ms), us(used.gap_ms)],
      [`opencode run --share (ms, median of ${runs})`, String(run_ms.without), String(run_ms.with)],
      ["the same, service down", "–", String(run_ms.down)],
    ],
  )
}

interface Side {
  file: string
  serving: Serving
  session: string
}

async function openSides(ground: Ground) {
  const sides = { without: await openSide(ground, false), with: await openSide(ground, true) }
  const close = async () => {
    for (const { serving, service } of Object.values(sides)) {
      await serving.kill()
      await service[Symbol.asyncDispose]()
    }
  }
  return { ...sides, [Symbol.asyncDispose]: close }
}

async function openSide(ground: Ground, used: boolean): Promise<Side & { service: Service }> {
  const { box, service, file } = await timedBox(ground, used ? "with" : "without", used)
  const serving = await serve(box)
  const session = await serving.client.newSession()
  await serving.client.share(session)
  await serving.client.prompt(session, "[[short]] warm")
  return { file, serving, session, service }
}

async function timedBox(ground: Ground, name: string, used: boolean) {
  const path = join(ground.folder, name)
  mkdirSync(path)
  const service = await Service.open(used ? ground.subject.service : "legacy", path)
  const file = join(path, "timing.jsonl")
  const module = pathToFileURL(join(import.meta.dir, "..", "..", "src", "opencode", "server.ts")).href
  const env = { TIMING_FILE: file, ...ground.subject.env, ...(used ? { TIMED_PLUGIN: module } : {}) }
  const plugins = [[pathToFileURL(join(import.meta.dir, "timing-plugin.ts")).href, { service: service.url }] as const]
  const box = new Box({ ...ground, provider_url: ground.provider.url, path, share_url: service.url, plugins, env })
  box.lend(ground.seed)
  return { box, service, file }
}

async function streamed({ serving, session, file }: Side): Promise<Stream> {
  const before = measuredIn(file).length
  const ms = await timed(() => serving.client.prompt(session, minute))
  const lines = measuredIn(file).slice(before)
  const all = (name: keyof Measured) => lines.flatMap((line) => line[name])
  return {
    events_per_s: Math.round((all("states_us").length + all("deltas_us").length) / (ms / 1000)),
    states_us: spread(all("states_us")),
    deltas_us: spread(all("deltas_us")),
    gap_ms: spread(all("gap_ms")),
  }
}

async function timeRuns(ground: Ground, said: (what: string) => void): Promise<Timing["run_ms"]> {
  const ms = { without: [] as number[], with: [] as number[], down: [] as number[] }
  const boxes = {
    without: await timedBox(ground, "run-without", false),
    with: await timedBox(ground, "run-with", true),
    down: await timedBox(ground, "run-down", true),
  }
  await boxes.down.service.down()
  said(`opencode run --share, ${runs} times each`)
  for (let run = 0; run < runs; run++)
    for (const side of ["without", "with", "down"] as const)
      ms[side].push((await runOnce(boxes[side].box, ["run", "--share", "[[bash echo hi]]"])).ms)
  for (const { service } of Object.values(boxes)) await service[Symbol.asyncDispose]()
  return { without: median(ms.without), with: median(ms.with), down: median(ms.down) }
}

function measuredIn(file: string): Measured[] {
  if (!existsSync(file)) return []
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Measured)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return Math.round(performance.now() - began)
}

function median(values: number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!)
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)] ?? 0
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}
