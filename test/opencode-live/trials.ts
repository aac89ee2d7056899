/** The trials that the built-in client was measured by: shares under faults, and faults of opencode itself. */
import { runOnce } from "./process.ts"
import { deltas, until, type Lab, type Trial } from "./trial.ts"

/** Longer than the built-in client waits before it sends: the fault begins when everything is there. */
const drained_ms = 1500
const outage_ms = 5000

export const trials: readonly Trial[] = [
  { name: "none", what: "no fault (control)", run: (lab) => turns(lab, () => {}) },
  {
    name: "http500-once",
    what: "one sync answered HTTP 500",
    run: (lab) => turns(lab, () => lab.service.failOnce()),
  },
  {
    name: "http500-5s",
    what: "HTTP 500 for 5 s in mid-session",
    run: (lab) =>
      outage(
        lab,
        () => lab.service.fail(),
        () => lab.service.heal(),
      ),
  },
  {
    name: "down-5s",
    what: "service down (connection refused) for 5 s in mid-session",
    run: (lab) =>
      outage(
        lab,
        () => lab.service.down(),
        () => lab.service.up(),
      ),
  },
  {
    name: "down-at-end",
    what: "service down during the last turn, up again 5 s later, no more turns",
    async run(lab) {
      const id = await calm(lab)
      await busy(lab, id)
      await Bun.sleep(drained_ms)
      await lab.service.down()
      await lab.client.prompt(id, "[[reason]] last")
      await Bun.sleep(outage_ms)
      await lab.service.up()
      lab.faultOver()
    },
  },
  {
    name: "response-dropped",
    what: "one sync stored, but its response dropped",
    run: (lab) => turns(lab, () => lab.service.dropAnswerOnce()),
  },
  {
    name: "connection-cut",
    what: "one sync cut before it was stored",
    run: (lab) => turns(lab, () => lab.service.cutOnce()),
  },
  {
    name: "slow-10s",
    what: "one sync delayed 10 s (then stored)",
    async run(lab) {
      const id = await calm(lab)
      const release = lab.service.holdOnce()
      const least = Bun.sleep(10_000)
      await busy(lab, id)
      await after(lab, id)
      await Promise.all([least, Bun.sleep(drained_ms)])
      release()
      lab.faultOver()
    },
  },
  {
    name: "kill9",
    what: "kill -9 in mid-stream, restart, two more turns",
    async run(lab) {
      const id = await calm(lab)
      const seen = deltas(lab)
      await lab.client.promptAsync(id, "[[stall 60]]")
      await until("streaming", () => deltas(lab) > seen + 30)
      await lab.stop("SIGKILL")
      await lab.start()
      lab.faultOver()
      await after(lab, id)
    },
  },
  {
    name: "kill9-no-more",
    what: "kill -9 just after a turn ended, restart, no more turns",
    run: (lab) => endedAfterTurn(lab, "SIGKILL"),
  },
  {
    name: "sigterm",
    what: "SIGTERM just after a turn ended (normal stop), restart, no more turns",
    run: (lab) => endedAfterTurn(lab, "SIGTERM"),
  },
  {
    name: "run-exit",
    what: "`opencode run --share` (one-shot; exits at once when done)",
    started: false,
    async run(lab) {
      await runOnce(lab.box, ["run", "--share", "[[bash echo hi]]"])
      await lab.start()
    },
  },
  {
    name: "create-down",
    what: "service down when session.share is called; up again, then normal turns",
    shares_offline: true,
    async run(lab) {
      const id = await lab.client.newSession()
      lab.sessions.add(id)
      await lab.client.prompt(id, "[[short]] zero")
      await lab.service.down()
      await lab.client.share(id).catch(() => {})
      await lab.service.up()
      lab.faultOver()
      await calm(lab, id)
    },
  },
  {
    name: "revert",
    what: "no fault; turns 2 and 3 reverted, then a new turn",
    async run(lab) {
      const id = await calm(lab)
      const users = (await lab.client.messages(id)).filter(({ info }) => info.role === "user")
      await lab.client.revert(id, users[1]!.info.id)
      await after(lab, id)
    },
  },
  {
    name: "subagent",
    what: "no fault; a turn with a subagent (child session)",
    async run(lab) {
      const id = await calm(lab)
      await lab.client.prompt(id, "[[task]]")
      await after(lab, id)
    },
  },
  {
    name: "unshare-down",
    what: "service down when session.unshare is called",
    share: "gone",
    async run(lab) {
      const id = await calm(lab)
      await lab.service.down()
      await lab.client.unshare(id).catch(() => {})
      await lab.service.up()
      await lab.client.prompt(id, "[[short]] private now?")
    },
  },
  {
    name: "delete-down",
    what: "service down when the shared session is deleted",
    share: "gone",
    async run(lab) {
      const id = await calm(lab)
      await lab.service.down()
      await lab.client.deleteSession(id).catch(() => {})
      await Bun.sleep(500)
      await lab.service.up()
    },
  },
]

/** Three turns without a fault; it is set; five turns more. */
async function turns(lab: Lab, fault: () => void): Promise<void> {
  const id = await calm(lab)
  fault()
  await busy(lab, id)
  await after(lab, id)
}

/** Three turns before it, three during it, two after it. On a slow machine it lasts as much longer as they take. */
async function outage(lab: Lab, begin: () => unknown, end: () => unknown): Promise<void> {
  const id = await calm(lab)
  await begin()
  const least = Bun.sleep(outage_ms)
  await busy(lab, id)
  await Promise.all([least, Bun.sleep(drained_ms)])
  await end()
  lab.faultOver()
  await after(lab, id)
}

async function endedAfterTurn(lab: Lab, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
  const id = await calm(lab)
  await lab.client.prompt(id, "[[bash echo last]]")
  await lab.stop(signal)
  await lab.start()
  lab.faultOver()
  // opencode begins to work in a folder when it is first asked for something there.
  await lab.client.state()
}

/** Three turns of a shared session, and all of it has arrived. */
export async function calm(lab: Lab, session?: string): Promise<string> {
  const id = session ?? (await lab.sharedSession())
  for (const prompt of ["[[short]] one", "[[drip 30 50]] two", "[[bash echo three]]"])
    await lab.client.prompt(id, prompt)
  await Bun.sleep(drained_ms)
  return id
}

export async function busy(lab: Lab, id: string): Promise<void> {
  for (const prompt of ["[[drip 40 50]] four", "[[files five.txt]]", "[[bash echo six]]"])
    await lab.client.prompt(id, prompt)
}

export async function after(lab: Lab, id: string): Promise<void> {
  for (const prompt of ["[[short]] seven", "[[reason]] eight"]) await lab.client.prompt(id, prompt)
}
