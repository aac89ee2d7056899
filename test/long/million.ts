/**
 * A million ops that wait: how long until the first of them leaves, what the process grows by, from open to the last
 * Ack, how late its timers come, and that all arrive once. Recorded by one process, sent by another.
 */
import { Database } from "bun:sqlite"
import { systemRandom } from "../../src/intent/system.ts"
import { randomId } from "../../src/intent/ulid.ts"
import { tempDir } from "../temp-dir.ts"
import { startChild } from "../torture/child.ts"
import type { EffectServiceSaid } from "../torture/several/service-fixture.ts"
import type { MillionSaid } from "./million-fixture.ts"
import type { Section } from "./section.ts"

const ops = 1_000_000
/** More is no longer "bounded by a window": 8 batches of 100 ops, their texts, their answers, and the collector's slack. */
const growth_mib_max = 160

export const million: Section = {
  name: "million",
  async run({ progress }) {
    await using dir = tempDir()
    const file = dir.file()
    const database = dir.file("share.db")
    await using service = startChild<EffectServiceSaid>(`${import.meta.dir}/../torture/several/service-fixture.ts`, {
      file: database,
      port: 0,
    })
    const { url } = await service.heard((line): line is { url: string } => "url" in line)
    const ref = {
      service: `${url}/rpc/share`,
      share_id: randomId(systemRandom, 128),
      secret: randomId(systemRandom, 256),
    }
    const run = async (part: "record" | "send") => {
      progress(`million: ${part}`)
      const child = startChild<MillionSaid>(`${import.meta.dir}/million-fixture.ts`, { part, file, ref, ops })
      const said = await child.heard((line): line is MillionSaid => "seconds" in line)
      await child.exited
      return said
    }
    const recorded = await run("record")
    const sent = await run("send")
    using db = new Database(database, { readonly: true })
    const { effects, ids } = db.query("select count(*) effects, count(distinct op_id) ids from effect").get() as {
      effects: number
      ids: number
    }
    const wrong = [
      ...(effects === ops && ids === ops ? [] : [`${effects} effects of ${ids} ops instead of ${ops}`]),
      ...(sent.growth_mib < growth_mib_max ? [] : [`the sender grew by ${sent.growth_mib} MiB`]),
    ]
    return {
      wrong,
      figures: {
        record_s: recorded.seconds,
        record_growth_mib: recorded.growth_mib,
        first_post_ms: sent.first_post_ms,
        send_s: sent.seconds,
        send_growth_mib: sent.growth_mib,
        send_late_ms_max: sent.late_ms_max,
      },
    }
  },
}
