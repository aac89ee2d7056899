import { expect, test } from "bun:test"
import { newHttpBatchRpcSession } from "capnweb"
import type { AppendBatch, ShareService } from "../../src/wire/contract.ts"
import { freshId, nextId, op, said, tempDir } from "./box.ts"

async function start(file: string) {
  const process_ = Bun.spawn([process.execPath, `${import.meta.dir}/service-fixture.ts`, file], { stdout: "pipe" })
  const kill = async () => {
    process_.kill("SIGKILL")
    await process_.exited
  }
  const { value } = await process_.stdout.getReader().read()
  return {
    rpc: `${new TextDecoder().decode(value).trim()}/rpc/share`,
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

test("what was acknowledged before kill -9 is known after it, and what was cut off is decided once", async () => {
  await using dir = tempDir()
  const ref = { share_id: freshId(128), secret: freshId() }
  const writer_id = freshId(128)
  const batches: AppendBatch[] = []
  for (let n = 0; n < 4; n++) {
    const last = batches.at(-1)?.ops.at(-1)?.op_id ?? null
    const ops = Array.from({ length: 25 }, (_, at) => op("part.put", [{ id: `prt_${n}_${at}`, messageID: "msg_1" }]))
    const base = { expected_cursor: n * 25, expected_head_op_id: last, settled_op_id: null }
    batches.push({ writer_id, batch_id: nextId(), ...base, ops })
  }
  const post = async (rpc: string, batches: AppendBatch[]) => {
    const api = newHttpBatchRpcSession<ShareService>(rpc)
    const created = api.createShare({ ...ref, session_id: "ses_1" })
    const grant = api.redeemShare({ ...ref, writer_id })
    const [, ...acks] = await Promise.all([created, ...batches.map((batch) => grant.share.appendOps(batch))])
    return acks
  }

  await using first = await start(dir.file)
  await post(first.rpc, batches.slice(0, 2))
  // The answer of this POST is lost with the process, at whatever point it is.
  const cut = post(first.rpc, batches.slice(2)).then(
    () => {},
    () => {},
  )
  await first.kill()
  await cut

  await using second = await start(dir.file)
  const answers = await post(second.rpc, batches)
  await second.kill()
  expect(answers.slice(0, 2).map((answer) => said(answer))).toMatchObject([{ applied: [] }, { applied: [] }])
  for (const [index, answer] of answers.entries())
    expect("refused" in answer ? answer : [...answer.applied, ...answer.duplicates].toSorted()).toEqual(
      batches[index]!.ops.map(({ op_id }) => op_id).toSorted(),
    )
  using sql = (await import("../../src/service/sql-bun.ts")).openShareServiceFile(dir.file)
  expect(sql.get(`SELECT count(*) AS effects, count(DISTINCT op_id) AS ops FROM applied`)).toEqual({
    effects: 100,
    ops: 100,
  })
})
