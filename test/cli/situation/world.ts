/**
 * Where a situation comes about: a clock that begins in the past and is turned up to now, services on real sockets, and
 * an outbox at opencode's default place below the directory. Ids and secrets are the same at every run.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { gunzipSync } from "node:zlib"
import { httpTransport } from "../../../src/wire/http.ts"
import { openOutbox, type Outbox } from "../../../src/index.ts"
import { outboxFile } from "../../../src/opencode/data-place.ts"
import { feedRecording } from "../../../src/opencode/replay.ts"
import { ManualClock } from "../../../src/testing/manual-clock.ts"
import { mulberry32 } from "../../../src/testing/mulberry32.ts"
import type { Seams } from "../../../src/intent/seam.ts"
import { fixturePath, type RecordingName } from "../../opencode/reference.ts"
import { type Child, startChild } from "../../torture/child.ts"
import type { HostConfig, HostSaid } from "./host-fixture.ts"
import { ShareHost } from "./share-host.ts"

export const minute = 60_000
export const hour = 60 * minute

export interface Situation extends AsyncDisposable {
  /** The outbox file, at opencode's default place if HOME is the directory. */
  readonly db: string
  /** The directory that was given. */
  readonly home: string
  /** For the CLI: HOME, and nothing else that leads elsewhere. */
  readonly env: Record<string, string>
  /** Pids of hosts that have the outbox open now. */
  readonly hosts: readonly number[]
  /** What stands for `{name}` on a command line: streams, op_ids, secrets. */
  readonly names: Readonly<Record<string, string>>
  /** The services, as they are when the situation begins: a test may start and stop them, or mend their rules. */
  readonly services: readonly ShareHost[]
}

/** `age_ms`: how long ago it begins. `seed` makes its ids and secrets. */
export async function openWorld(home: string, age_ms: number, seed: number) {
  const db = outboxFile({ OPENCODE_TEST_HOME: home })
  const now = Date.now()
  const clock = new ManualClock(now - age_ms)
  const fraction = mulberry32(seed)
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(fraction() * 256))
  const seams: Seams = { clock, random: { fraction, bytes }, crashPoint: () => {} }
  const stack = new AsyncDisposableStack()
  const services: ShareHost[] = []
  const names: Record<string, string> = {}
  const under_way = new Set<Promise<unknown>>()
  let activity = 0

  const send = httpTransport(clock)
  const transport: typeof send = (request) => {
    const answer = send(request)
    const done = () => {
      activity += 1
      under_way.delete(answer)
    }
    under_way.add(answer)
    answer.then(done, done)
    return answer
  }

  /** Lets everything happen that needs no time: the network has as much of the real one as it needs. */
  async function calm() {
    for (let quiet = 0; quiet < 4; quiet++) {
      const before = activity
      clock.turn(0)
      await Promise.allSettled(under_way)
      await new Promise((resolve) => setImmediate(resolve))
      if (activity !== before) quiet = -1
    }
  }

  return {
    home,
    db,
    names,
    services,
    async serve(): Promise<ShareHost> {
      const folder = join(home, "srv")
      mkdirSync(folder, { recursive: true })
      const host = stack.use(new ShareHost(join(folder, `share-${services.length + 1}.db`), seams))
      services.push(host)
      return host
    },
    open(): Outbox {
      mkdirSync(dirname(db), { recursive: true, mode: 0o700 })
      return openOutbox(db, { seams, transport })
    },
    /** Lets time pass until so long before now, and what falls due happen at its time. */
    async ago(ms: number) {
      await calm()
      for (;;) {
        const left_ms = now - ms - clock.now()
        if (left_ms <= 0) break
        const next_ms = (clock.nextAt ?? Infinity) - clock.monotonic()
        clock.turn(Math.min(left_ms, Math.max(1, next_ms)))
        await calm()
      }
    },
    /** What was recorded of an opencode, as far as line `lines`, while nothing is sent; fed again it goes on there. */
    async feed(outbox: Outbox, recording: RecordingName, service: ShareHost, lines = Infinity): Promise<string[]> {
      const path = fixturePath(recording, "jsonl")
      const text = (path.endsWith(".gz") ? gunzipSync(readFileSync(path)) : readFileSync(path)).toString()
      const file = join(home, `${recording}.jsonl`)
      writeFileSync(file, text.split("\n").slice(0, lines).join("\n"))
      outbox.pause()
      const { sessions } = await feedRecording(file, outbox, `${service.url}/rpc/share`, () => clock.turn(250))
      outbox.resume()
      rmSync(file)
      return sessions
    },
    /** A host in a process of its own, by the real clock. */
    host(config: Omit<HostConfig, "file">): Child<HostSaid> {
      return stack.use(startChild<HostSaid>(join(import.meta.dir, "host-fixture.ts"), { file: db, ...config }))
    },
    situation(hosts: readonly Child<HostSaid>[] = []): Situation {
      return {
        db,
        home,
        env: { HOME: home, XDG_DATA_HOME: "", OPENCODE_TEST_HOME: "", OPENCODE_DB: "", STURDY_DB: "" },
        hosts: hosts.map((child) => child.pid),
        names: { db, ...names },
        services,
        [Symbol.asyncDispose]: () => stack.disposeAsync(),
      }
    },
  }
}

/** Waits until the host says so, unless it has said it before. */
export async function hears(host: Child<HostSaid>, what: HostSaid["is"]): Promise<void> {
  await host.heard((line): line is HostSaid => line.is === what)
}
