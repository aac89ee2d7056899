/** What the built-in client was not measured by: longer faults, several processes, removals, and coming to the plugin later. */
import { runOnce } from "./process.ts"
import { Service } from "./service.ts"
import { deltas, until, type Lab, type Trial } from "./trial.ts"
import { after, busy, calm } from "./trials.ts"

export const furtherTrials: readonly Trial[] = [
  {
    name: "two-processes",
    what: "`opencode run -s` beside `opencode serve`, both in one session, in turns and at once",
    async run(lab) {
      const id = await calm(lab)
      await runOnce(lab.box, ["run", "-s", id, "[[bash echo beside]]"])
      const beside = runOnce(lab.box, ["run", "-s", id, "[[drip 20 50]] beside"])
      const seen = deltas(lab)
      await until("the other process streams", () => deltas(lab) > seen)
      await after(lab, id)
      await beside
    },
  },
  {
    name: "offline-start",
    what: "service down when opencode starts, shares and works; up later",
    shares_offline: true,
    started: false,
    async run(lab) {
      await lab.service.down()
      await lab.start()
      const id = await calm(lab)
      await lab.service.up()
      lab.faultOver()
      await after(lab, id)
    },
  },
  {
    name: "black-hole",
    what: "a network that swallows everything, for 8 s in mid-session",
    deadline_ms: 90_000,
    async run(lab) {
      const id = await calm(lab)
      lab.service.swallow()
      const over = Bun.sleep(8000).then(() => {
        lab.service.heal()
        lab.faultOver()
      })
      await busy(lab, id)
      await over
      await after(lab, id)
    },
  },
  {
    name: "service-restarts",
    what: "the service is stopped and started again three times while opencode works",
    async run(lab) {
      const id = await calm(lab)
      const restarts = (async () => {
        for (let n = 0; n < 3; n++) {
          await Bun.sleep(700)
          await lab.service.restart()
        }
        lab.faultOver()
      })()
      await busy(lab, id)
      await restarts
      await after(lab, id)
    },
  },
  {
    name: "proxy-set",
    what: "HTTP_PROXY names a dead port, NO_PROXY is not set; the service is on loopback",
    env: { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" },
    async run(lab) {
      await after(lab, await calm(lab))
    },
  },
  {
    name: "remove",
    what: "a part and a message removed over opencode's API",
    async run(lab) {
      const id = await calm(lab)
      const messages = await lab.client.messages(id)
      const answers = messages.filter(({ info }) => info.role === "assistant")
      const text = answers[0]!.parts.find(({ type }) => type === "text")!
      await lab.client.deletePart(id, text.messageID, text.id)
      await lab.client.deleteMessage(id, answers[1]!.info.id)
      await after(lab, id)
    },
  },
  {
    name: "abort",
    what: "a turn aborted in mid-stream, then another",
    async run(lab) {
      const id = await calm(lab)
      const seen = deltas(lab)
      await lab.client.promptAsync(id, "[[stall 60]]")
      await until("streaming", () => deltas(lab) > seen + 30)
      await lab.client.abort(id)
      await until("idle", () => lab.client.isIdle(id))
      await after(lab, id)
    },
  },
  {
    name: "big-output",
    what: "tools that print 500 KB at once, and in 50 pieces",
    async run(lab) {
      const id = await lab.sharedSession()
      const pieces = "for i in $(seq 1 50); do head -c 10000 /dev/zero | tr '\\0' y; echo; sleep 0.02; done"
      await lab.client.prompt(id, "[[bash seq -f 'line %07g xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' 1 10000]]")
      await lab.client.prompt(id, `[[bash ${pieces}]]`)
    },
  },
  {
    name: "kill9-down",
    what: "kill -9 while the service is down, restart, and only then the service is up",
    async run(lab) {
      const id = await calm(lab)
      await lab.service.down()
      await lab.client.prompt(id, "[[bash echo unheard]]")
      await lab.stop("SIGKILL")
      await lab.start()
      await lab.client.prompt(id, "[[short]] still alone")
      await lab.service.up()
      lab.faultOver()
    },
  },
  {
    name: "run-down",
    what: "`opencode run --share` with the service down; up when another opencode has started",
    shares_offline: true,
    started: false,
    async run(lab) {
      await lab.service.down()
      await runOnce(lab.box, ["run", "--share", "[[bash echo hi]]"])
      await lab.start()
      await lab.client.state()
      await lab.service.up()
    },
  },
  {
    name: "auto-run",
    what: "`share: auto` in `opencode run`, which asks for the share twice at once",
    sharing: "auto",
    started: false,
    async run(lab) {
      await runOnce(lab.box, ["run", "[[bash echo hi]]"])
    },
  },
  {
    name: "share-again",
    what: "unshared, a turn, shared again: a new share with everything, the old one gone",
    async run(lab) {
      const id = await calm(lab)
      await lab.client.unshare(id)
      await lab.client.prompt(id, "[[short]] in private")
      await lab.client.share(id)
      await after(lab, id)
    },
  },
  {
    name: "delete-restart",
    what: "service down, the shared session deleted, opencode restarted, then the service is up",
    share: "gone",
    async run(lab) {
      const id = await calm(lab)
      await lab.service.down()
      await lab.client.deleteSession(id)
      await lab.stop("SIGKILL")
      await lab.start()
      await lab.client.state()
      await lab.service.up()
    },
  },
  {
    name: "delete-command",
    what: "`opencode session delete` of a session that an earlier process shared",
    share: "gone",
    async run(lab) {
      const id = await calm(lab)
      await lab.stop()
      await runOnce(lab.box, ["session", "delete", id])
      await lab.start()
      await lab.client.state()
    },
  },
  {
    name: "children",
    what: "a subagent, with the option to share child sessions with their parent",
    options: { children: true },
    async run(lab) {
      const id = await calm(lab)
      await lab.client.prompt(id, "[[task]]")
      await addChildren(lab, id)
      await after(lab, id)
    },
  },
  {
    name: "installed-later",
    what: "a session with turns from before the plugin was installed, then shared",
    started: false,
    async run(lab) {
      lab.usePlugin(false)
      await lab.start()
      const id = await lab.client.newSession()
      lab.sessions.add(id)
      await calm(lab, id)
      await lab.stop()
      lab.usePlugin(true)
      await lab.start()
      await lab.client.share(id)
      await after(lab, id)
    },
  },
  {
    name: "taken-over",
    what: "a session that the built-in client had shared elsewhere, then shared with the plugin",
    started: false,
    async run(lab) {
      await using before = await Service.open("legacy", lab.folder)
      lab.usePlugin(false, before.url)
      await lab.start()
      const id = await calm(lab)
      await lab.stop()
      lab.usePlugin(true)
      await lab.start()
      await lab.client.share(id)
      await after(lab, id)
    },
  },
]

async function addChildren(lab: Lab, id: string): Promise<void> {
  const children = (await lab.client.state()).filter(({ info }) => info.parentID === id)
  if (children.length === 0) throw new Error("there is no child session")
  for (const { info } of children) lab.sessions.add(info.id)
}
