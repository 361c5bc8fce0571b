// Synthesizes the stack in this process and reads what came out. `readable` turns CloudFormation's functions
// into plain text, with the hash cut from logical ids, so that tests can state whole tables as literals.

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { readParameters } from '../../infra/parameters.ts';
import { DelayXferStack } from '../../infra/stack.ts';

type Context = Readonly<Record<string, unknown>>;

/** Without bundling, which most tests have no use for; once for each context. */
export function synthesized(context: Context = {}): Template {
  const key = JSON.stringify(context);
  const template =
    known.get(key) ??
    Template.fromStack(stackOf(new App({ context: { 'aws:cdk:bundling-stacks': [] } }), context));
  known.set(key, template);
  return template;
}

const known = new Map<string, Template>();

/** With bundles, as deployed; returns the folder of the cloud assembly, outside of the project. */
export function assembled(context: Context = {}): { readonly folder: string; readonly template: Template } {
  const folder = mkdtempSync(join(tmpdir(), 'delay-xfer-assembly-'));
  const app = new App({ outdir: folder });
  const template = Template.fromStack(stackOf(app, context));
  return { folder, template };
}

function stackOf(app: App, context: Context): DelayXferStack {
  const result = readParameters(context);
  assert.ok(result.ok, 'the parameters have no faults');
  return new DelayXferStack(app, 'delay-xfer', { parameters: result.parameters });
}

/** Every resource of a type: its logical id without the hash, and its properties. */
export function resources(template: Template, type: string): ReadonlyMap<string, Properties> {
  const found = Object.entries(template.findResources(type));
  return new Map(found.map(([id, resource]) => [withoutHash(id), object(object(resource)['Properties'])]));
}

export type Properties = Readonly<Record<string, unknown>>;

/** The only resource of a type whose id begins so. */
export function only(template: Template, type: string, idPrefix = ''): Properties {
  const matching = [...resources(template, type)].filter(([id]) => id.startsWith(idPrefix));
  assert.equal(matching.length, 1, `one ${type} that begins with ${idPrefix}`);
  return object(matching[0]?.[1]);
}

export function object(value: unknown): Properties {
  assert.ok(typeof value === 'object' && value !== null && !Array.isArray(value), 'an object');
  return Object.fromEntries(Object.entries(value));
}

/** CloudFormation writes a list of one as the value alone. */
export function list(value: unknown): readonly unknown[] {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
}

/** `Thing.Arn` for Fn::GetAtt, `Thing` for Ref, text for Fn::Join; anything else as it is, in JSON. */
export function readable(value: unknown): string {
  if (typeof value === 'string') return value;
  const [entry, ...others] = Object.entries(object(value));
  if (entry !== undefined && others.length === 0) {
    const [name, argument] = entry;
    if (name === 'Ref') return withoutHash(String(argument));
    if (name === 'Fn::GetAtt') return list(argument).map(String).map(withoutHash).join('.');
    if (name === 'Fn::Join') {
      const [separator, parts] = list(argument);
      return list(parts).map(readable).join(String(separator));
    }
  }
  return JSON.stringify(value);
}

function withoutHash(id: string): string {
  return id.replace(/[0-9A-F]{8}$/, '');
}
