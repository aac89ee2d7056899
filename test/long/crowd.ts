/** Processes that record into one outbox file, each on a stream of its own, while one of them sends to a real service. */
import { openOutbox } from "../../src/index.ts"
import { systemRandom } from "../../src/intent/system.ts"
import { randomId } from "../../src/intent/ulid.ts"
import { tempDir } from "../temp-dir.ts"
import { startChild } from "../torture/child.ts"
import type { Recorded, RecorderConfig, RecorderSaid } from "../torture/several/recorder-fixture.ts"
import { startService } from "../torture/service.ts"

const crowd_ms = 6_000

export interface Crowd {
  recorders: Recorded[]
  /** A process beside them that has an outbox of its own and does nothing. */
  bystander: Recorded
}

const known = new Map<string, Promise<Crowd>>()

/** Ops per second of each, or null: as fast as it can. The same again is the same run. */
export function crowdOf(processes: number, rate: number | null): Promise<Crowd> {
  const name = `${processes} ${rate}`
  const found = known.get(name) ?? runCrowd(processes, rate)
  known.set(name, found)
  return found
}

async function runCrowd(processes: number, rate: number | null): Promise<Crowd> {
  await using dir = tempDir()
  await using service = await startService(dir.file("share.db"))
  const clients = Array.from({ length: processes }, (_, index) => `p${index}`)
  const refs = Object.fromEntries(
    clients.map((client) => [
      client,
      {
        service: `${service.url}/rpc/share`,
        share_id: randomId(systemRandom, 128),
        secret: randomId(systemRandom, 256),
      },
    ]),
  )
  const first = openOutbox(dir.file())
  for (const client of clients) first.stream(client, refs[client]!, { create: { session_id: client } })
  await first.flush()
  await first.close()
  await using children = new AsyncDisposableStack()
  const start = (config: RecorderConfig) =>
    children.use(startChild<RecorderSaid>(`${import.meta.dir}/../torture/several/recorder-fixture.ts`, config))
  const recorders = clients.map((client) =>
    start({ file: dir.file(), client, streams: { [client]: refs[client]! }, rate, ms: crowd_ms }),
  )
  const bystander = start({ file: dir.file("other.db"), client: "bystander", streams: {}, rate: 0, ms: crowd_ms })
  const all = [...recorders, bystander]
  await Promise.all(all.map((child) => child.heard((line): line is { ready: true } => "ready" in line)))
  for (const child of all) child.finish()
  const said = await Promise.all(all.map((child) => child.heard((line): line is Recorded => "records" in line)))
  await Promise.all(all.map((child) => child.exited))
  return { recorders: said.slice(0, -1), bystander: said.at(-1)! }
}
