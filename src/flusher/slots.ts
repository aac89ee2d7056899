/** At most so many at a time; the others queue, in the order in which they came. */
export class Slots {
  #free: number
  readonly #queue: (() => void)[] = []

  constructor(max: number) {
    this.#free = max
  }

  async take(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#queue.push(resolve)
    await promise
  }

  give(): void {
    const next = this.#queue.shift()
    if (next) next()
    else this.#free += 1
  }
}
