/**
 * Child processes as a user would start them: without what the test runner puts into the environment.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

export type Env = Readonly<Record<string, string>>

const ofTheRunner =
  /^(VITEST|TEST$|DEV$|PROD$|MODE$|SSR$|BASE_URL$|NODE_ENV$|DEBUG$|PORT$|HOST$|OR3_|NUXT_|NITRO_)/

/** This process's environment as it was before the test runner, without settings of the provider or the host. */
export const cleanEnv = (extra: Env = {}): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofTheRunner.test(name))),
  ...extra,
})

/** Standard error without the lines in which the library tells what it did; what is left is a fault. */
export const faultsIn = (stderr: string): string => stderr.replaceAll(news, '')

const news = /^\[or3-provider-sqlite\] (applied|adopting|created a new|upkeep of) .*\n/gm

/** Those lines. */
export const newsIn = (stderr: string): ReadonlyArray<string> =>
  (stderr.match(news) ?? []).map((line) => line.trimEnd())

/** Runs a program to its end and gives its standard output, or all it said. Fails with all output when it fails. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  {
    cwd = root,
    env = {},
    all = false,
  }: { readonly cwd?: string; readonly env?: Env; readonly all?: boolean } = {},
): Promise<string> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: cleanEnv(env), stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (stderr += chunk))
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(all ? stdout + stderr : stdout)
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`))
    })
  })
