/**
 * An opencode plugin that measures: how long the event hook of the plugin in TIMED_PLUGIN (a module's URL; none: no
 * plugin) takes per event, and the longest gap in opencode's event loop. At each session.idle it writes what it has
 * measured since the last one, a line to TIMING_FILE. It runs in opencode's own Bun.
 */
import { appendFileSync } from "node:fs"

interface Hooks {
  event?: (input: { event: { type: string } }) => unknown
}

type Server = (input: unknown, options: unknown) => Promise<Hooks>

const tick_ms = 5
const file = process.env.TIMING_FILE
const module = process.env.TIMED_PLUGIN

let hook_us: number[] = []
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
      hook_us.push((performance.now() - began) * 1000)
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
  const line = { t: Date.now(), events: hook_us.length, hook_us: spread(hook_us), gap_ms: spread(gap_ms) }
  hook_us = []
  gap_ms = []
  if (file) appendFileSync(file, `${JSON.stringify(line)}\n`)
}

function spread(values: number[]) {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (part: number) => Math.round((sorted[Math.floor((sorted.length - 1) * part)] ?? 0) * 10) / 10
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}
