import { expect, test } from "bun:test"
import * as limit from "../../src/intent/limit.ts"
import { result_retention_ms } from "../../src/service/limit.ts"

test("a limit does not change unseen", () => {
  expect({
    linger: limit.linger_ms,
    seal: [limit.batch_ops_max, limit.batch_seal_bytes],
    window: limit.window_batches,
    deadline: limit.request_deadline_ms,
    bytes: [limit.op_bytes_max, limit.batch_bytes_max, limit.post_bytes_max],
    floors: [limit.op_bytes_floor, limit.batch_bytes_floor, limit.batch_ops_floor],
    lease: limit.lease_ms,
    retry: [limit.retry_delay_ms_min, limit.retry_delay_ms_max],
    retained: [limit.retained_ms, limit.retained_ops, limit.retained_bytes],
    quota: limit.outbox_bytes_max,
    results: result_retention_ms,
    busy: limit.busy_timeout_ms,
    wal: limit.wal_bytes_max,
    close: limit.close_flush_ms,
  }).toEqual({
    linger: 50,
    seal: [100, 2 ** 20],
    window: 8,
    deadline: 30_000,
    bytes: [4 * 2 ** 20, 8 * 2 ** 20, 16 * 2 ** 20],
    floors: [256 * 2 ** 10, 2 ** 20, 100],
    lease: 10_000,
    retry: [500, 60_000],
    retained: [7 * 86_400_000, 1_000, 16 * 2 ** 20],
    quota: 2 ** 30,
    results: 30 * 86_400_000,
    busy: 100,
    wal: 16 * 2 ** 20,
    close: 2_000,
  })
})

test("the limits fit into each other", () => {
  expect(limit.op_bytes_max).toBeLessThan(limit.batch_bytes_max)
  expect(limit.batch_bytes_max).toBeLessThanOrEqual(limit.post_bytes_max)
  expect(limit.batch_seal_bytes).toBeLessThanOrEqual(limit.batch_bytes_max)
  expect(limit.op_bytes_floor).toBeLessThan(limit.batch_bytes_floor)
})
