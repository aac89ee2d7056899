/** The short version of `npm run test:long`: several real processes on one outbox file. */
import { describe, expect, test } from "bun:test"
import { openOutbox } from "../../../src/index.ts"
import { systemRandom } from "../../../src/intent/system.ts"
import { randomId } from "../../../src/intent/ulid.ts"
import { serveShareService } from "../../../src/service/index.ts"
import { tempDir } from "../../temp-dir.ts"
import { startChild } from "../child.ts"
import type { Recorded, RecorderConfig, RecorderSaid } from "./recorder-fixture.ts"
import { severalRound } from "./round.ts"

const seed = Number(process.env.STURDY_SEED ?? Math.floor(Math.random() * 2 ** 31))

// Who is stopped is told from who runs by /proc.
describe.if(process.platform === "linux")("processes killed and stopped while they record and send", () => {
  test.each([0, 1, 2])("round %i: nothing is lost, doubled or out of order", async (round) => {
    const { wrong } = await severalRound({ seed: seed + round, ms: 900 })
    expect({ seed: seed + round, wrong }).toEqual({ seed: seed + round, wrong: [] })
  })
})

test("8 processes record into one file while one of them sends: all is there, in order, and none was refused", async () => {
  await using dir = tempDir()
  const order = new Map<string, number[]>()
  await using service = serveShareService({
    file: dir.file("share.db"),
    methods: {
      put(_, name) {
        const [client, , n] = String(name).split("/")
        order.set(client!, [...(order.get(client!) ?? []), Number(n)])
      },
    },
  })
  const newRef = () => ({
    service: `${service.url}/rpc/share`,
    share_id: randomId(systemRandom, 128),
    secret: randomId(systemRandom, 256),
  })
  const shared = newRef()
  const first = openOutbox(dir.file())
  first.stream("shared", shared, { create: { session_id: "shared" } })
  await first.flush()
  await first.close()
  const clients = "abcdefgh".split("")
  await using crowd = new AsyncDisposableStack()
  const children = clients.map((client) =>
    crowd.use(
      startChild<RecorderSaid>(`${import.meta.dir}/recorder-fixture.ts`, {
        file: dir.file(),
        client,
        streams: { shared },
        rate: null,
        ms: 60_000,
        count: 250,
      } satisfies RecorderConfig),
    ),
  )
  await Promise.all(children.map((child) => child.heard((line): line is { ready: true } => "ready" in line)))
  for (const child of children) child.finish()
  const said = await Promise.all(children.map((child) => child.heard((line): line is Recorded => "records" in line)))
  await Promise.all(children.map((child) => child.exited))
  const last = openOutbox(dir.file())
  expect(await last.flush()).toEqual({ settled: true, blocked: [] })
  const { recorded } = last.stream("shared").status()
  await last.close()
  const numbers = Array.from({ length: 250 }, (_, n) => n)
  expect(Object.fromEntries(order)).toEqual(Object.fromEntries(clients.map((client) => [client, numbers])))
  expect([recorded, said.map(({ busy }) => busy)]).toEqual([8 * 250, clients.map(() => 0)])
})
