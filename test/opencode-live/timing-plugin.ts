/**
 * An opencode plugin that measures: how long the event hook of the plugin in TIMED_PLUGIN (a module's URL; none: no
 * plugin) takes for each event, deltas of a text apart, and the gaps in opencode's event loop. At each session.idle it
 * writes what it has measured since the last one, a line to TIMING_FILE. It runs in opencode's own Bun.
 */
import { appendFileSync } from "node:fs"

interface Hooks {
  event?: (input: { event: { type: string } }) => unknown
}

type Server = (input: unknown, options: unknown) => Promise<Hooks>

const tick_ms = 5
const file = process.env.TIMING_FILE
const module = process.env.TIMED_PLUGIN

let states_us: number[] = []
let deltas_us: number[] = []
let gap_ms: number[] = []

async function server(input: unknown, options: unknown): Promise<Hooks> {
  const timed = module ? ((await import(module)) as { default: { server: Server } }) : undefined
  const hooks = (await timed?.default.server(input, options)) ?? {}
  watchLoop()
  return {
    ...hooks,
    event: (input) => {
      const began = performance.now()
      const result = hooks.event?.(input)
      const us = (performance.now() - began) * 1000
      if (input.event.type === "message.part.delta") deltas_us.push(us)
      else states_us.push(us)
      if (input.event.type === "session.idle") report()
      return result
    },
  }
}

export default { id: "timing", server }

let watched = false

/** Once, though a process may set the plugin up again. */
function watchLoop(): void {
  if (watched) return
  watched = true
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    gap_ms.push(now - last - tick_ms)
    last = now
  }, tick_ms).unref()
}

function report(): void {
  const line = { states_us: states_us.map(tenths), deltas_us: deltas_us.map(tenths), gap_ms: gap_ms.map(tenths) }
  states_us = []
  deltas_us = []
  gap_ms = []
  if (file) appendFileSync(file, `${JSON.stringify(line)}\n`)
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
