// Prints the path of a Chromium for the browser test. On Debian it is installed if there is none and root asks.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const names = [
  'chromium',
  'chromium-browser',
  'google-chrome-stable',
  'google-chrome',
  'chrome',
  'microsoft-edge',
]
const { CHROMIUM, PATH = '', HOME = '', PROGRAMFILES = 'C:\\Program Files', LOCALAPPDATA = '' } = process.env

const usualPlaces = () => [
  ...[...PATH.split(delimiter), '/usr/bin', '/usr/local/bin', '/snap/bin'].flatMap((folder) =>
    names.map((name) => join(folder, name)),
  ),
  '/opt/google/chrome/chrome',
  ...['/Applications', join(HOME, 'Applications')].flatMap((folder) =>
    ['Google Chrome', 'Chromium', 'Microsoft Edge'].map(
      (app) => `${folder}/${app}.app/Contents/MacOS/${app}`,
    ),
  ),
  ...[PROGRAMFILES, LOCALAPPDATA].map((folder) => join(folder, 'Google/Chrome/Application/chrome.exe')),
]

/** Some systems have a script under that name that only says what to install. */
const runs = (path) =>
  existsSync(path) &&
  // On Windows, asking Chrome for its version opens a window.
  (process.platform === 'win32' || spawnSync(path, ['--version'], { timeout: 30_000 }).status === 0)

const find = () => usualPlaces().find(runs)

const fail = (message) => {
  console.error(message)
  process.exit(1)
}

const canInstall = () =>
  process.getuid?.() === 0 &&
  existsSync('/etc/os-release') &&
  /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'))

const install = () => {
  console.error('Installing Chromium for the browser test')
  const aptGet = (...args) =>
    spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    }).status === 0
  return aptGet('update') && aptGet('install', '-y', '--no-install-recommends', 'chromium')
}

const advice =
  'The browser test needs Chromium or Chrome: install one, or set CHROMIUM to the path of its executable'

if (CHROMIUM) {
  if (!runs(CHROMIUM))
    fail(`CHROMIUM is set to ${CHROMIUM}, which does not run: set it to a Chromium or Chrome`)
  console.log(CHROMIUM)
} else {
  const found = find() ?? (canInstall() && install() ? find() : undefined)
  if (found === undefined) fail(advice)
  console.log(found)
}
