/** A process that is killed, stopped, continued and started again, whatever it is doing. */
import { type Child, stateOf } from "../child.ts"

/** Beyond what any lawful wait of its end comes to. */
const finish_ms_max = 30_000

export interface Victim extends AsyncDisposable {
  readonly name: string
  readonly pid: number
  /** By us, or by itself. */
  readonly stopped: boolean
  /** SIGKILL, then a new process. */
  killAndRestart(): Promise<void>
  stop(): void
  continue(): void
  /** Lets it end by itself. Undefined if it does, else what it said. */
  finish(): Promise<string | undefined>
}

export async function startVictim(
  name: string,
  /** Resolves when the new process is there to be disturbed. */
  start: (incarnation: number) => Promise<Child<unknown>>,
): Promise<Victim> {
  let incarnation = 0
  let running = await start(incarnation)
  return {
    name,
    get pid() {
      return running.pid
    },
    get stopped() {
      return stateOf(running.pid) === "T"
    },
    async killAndRestart() {
      await running[Symbol.asyncDispose]()
      incarnation += 1
      running = await start(incarnation)
    },
    stop: () => running.signal("SIGSTOP"),
    continue: () => running.signal("SIGCONT"),
    async finish() {
      running.finish()
      // It may stop itself once more on its way out.
      const awake = setInterval(() => running.signal("SIGCONT"), 20)
      const late = setTimeout(() => running.signal("SIGKILL"), finish_ms_max)
      const code = await running.exited
      clearInterval(awake)
      clearTimeout(late)
      return code === 0 ? undefined : `${name} ended with ${code ?? "a signal"}: ${await running.complaint}`
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
