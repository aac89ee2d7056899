/** Choices that a seed repeats. Each step of a plan has dice of its own, so that leaving one out changes no other. */
import { mulberry32 } from "../mulberry32.ts"

export class Dice {
  readonly fraction: () => number

  constructor(seed: number) {
    this.fraction = mulberry32(Math.imul(seed, 0x9e3779b9))
    // Neighbouring seeds begin alike.
    this.fraction()
  }

  chance(of: number): boolean {
    return this.fraction() < of
  }

  /** From 0 to below n. */
  below(n: number): number {
    return Math.floor(this.fraction() * n)
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }

  /** Whole ms between the two, each order of magnitude as likely as any other. */
  ms(from: number, to: number): number {
    return Math.round(from * (to / from) ** this.fraction())
  }

  weighted<T extends { weight: number }>(from: readonly T[]): T {
    let at = this.fraction() * from.reduce((sum, { weight }) => sum + weight, 0)
    return from.find(({ weight }) => (at -= weight) < 0) ?? from.at(-1)!
  }

  seed(): number {
    return Math.floor(this.fraction() * 2 ** 32)
  }
}
