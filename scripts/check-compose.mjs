// docker-compose.yml cannot be run everywhere, so what can be told without an engine is checked here:
// its syntax, that services and volumes it refers to exist, and that it sets only variables Vigia reads.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const root = join(import.meta.dirname, '..');
const compose = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'), { merge: true });
const known = new Set(
  readFileSync(join(root, '.env.example'), 'utf8')
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line))
    .map((line) => line.split('=')[0]),
);
const faults = [];

for (const [name, service] of Object.entries(compose.services)) {
  if (!service.image && !service.build) faults.push(`${name} has neither an image nor a build`);
  if (service.image && !/:[^:]*\d/.test(service.image))
    faults.push(`${name}: ${service.image} is not pinned to a version`);
  const wanted = Array.isArray(service.depends_on)
    ? service.depends_on
    : Object.keys(service.depends_on ?? {});
  for (const other of wanted)
    if (!compose.services[other]) faults.push(`${name} depends on ${other}, which is not there`);
  for (const volume of service.volumes ?? []) {
    const source = volume.split(':')[0];
    if (!/^[./]/.test(source) && !(source in compose.volumes))
      faults.push(`${name} uses the volume ${source}, which is not declared`);
  }
  if (!service.build) continue;
  for (const variable of Object.keys(service.environment)) {
    if (!known.has(variable) && !variable.startsWith('AWS_'))
      faults.push(`${name} sets ${variable}, which Vigia does not read`);
  }
}

for (const fault of faults) process.stderr.write(`docker-compose.yml: ${fault}\n`);
process.exit(faults.length > 0 ? 1 : 0);
