// Smoke test of a running CDN: every edge node answers for every demo file, the
// second time from cache; the 302 front sends visitors to an edge node.
//
//   k6 run -e ENDPOINTS=nearcast-lab/endpoints.json loadtest/k6/smoke.js
//
// Environment: ENDPOINTS (required), DOMAIN, PATHS (comma-separated), RATE (iterations a second), DURATION.
// k6 exits with 99 if a threshold is missed.
import http from 'k6/http'
import { check } from 'k6'
import { Counter, Rate } from 'k6/metrics'

const endpoints = JSON.parse(open(__ENV.ENDPOINTS))
const domain = __ENV.DOMAIN || 'www.web.example'
const paths = (__ENV.PATHS || '/LICENSE,/README.md,/VERSION,/src/fmt/print.go,/src/net/http/server.go').split(',')
const edges = endpoints.nodes.filter((n) => n.tier === 'edge')

const hitRatio = new Rate('cache_hit_ratio')
const wrongBody = new Counter('wrong_bodies')

export const options = {
  scenarios: {
    visitors: {
      executor: 'constant-arrival-rate',
      rate: Number(__ENV.RATE || 100),
      timeUnit: '1s',
      duration: __ENV.DURATION || '10s',
      preAllocatedVUs: 20,
      maxVUs: 100,
    },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_failed: ['rate==0'],
    http_req_duration: ['p(95)<500'],
    cache_hit_ratio: ['rate>=0.95'],
    wrong_bodies: ['count==0'],
    dropped_iterations: ['count==0'],
  },
}

// setup learns each file's right content from the origin itself, and warms every
// edge node: what is measured is a CDN at work, not its first seconds.
export function setup () {
  const web = endpoints.origins.find((o) => o.type === 'http').url
  return Object.fromEntries(paths.map((path) => {
    const res = http.get(web + path, { responseType: 'text' })
    if (res.status !== 200) throw new Error(`the origin answers ${res.status} for ${path}`)
    edges.forEach((n) => http.get(`http://${n.http}${path}`, { headers: { Host: domain } }))
    return [path, res.body]
  }))
}

function pick (list) {
  return list[Math.floor(Math.random() * list.length)]
}

export default function (bodies) {
  const path = pick(paths)
  const headers = { Host: domain }
  const res = http.get(`http://${pick(edges).http}${path}`, { headers, tags: { name: 'edge' } })
  const ok = check(res, {
    'edge answers 200': (r) => r.status === 200,
    'edge says how it was served': (r) => 'X-Cache' in r.headers && 'Cache-Status' in r.headers,
  })
  if (ok && res.body !== bodies[path]) wrongBody.add(1)
  hitRatio.add(res.headers['X-Cache'] === 'HIT')

  const redirect = http.get(`${endpoints.redirect}${path}`, { headers, redirects: 0, tags: { name: 'redirect' } })
  check(redirect, {
    'front answers 302': (r) => r.status === 302,
    'front names an edge node': (r) => edges.some((n) => (r.headers.Location || '').startsWith(`http://${n.name}.${domain}.${endpoints.zone}`)),
  })
}
