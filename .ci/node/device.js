// What firmware does with the Node device SDK, step by step, over TLS and over TCP, and what the platform must answer. The application's
// side is the command line. The first step that goes wrong ends the program with status 1 and says which it was.
'use strict';

const { execFile } = require('child_process');
const fs = require('fs');
const https = require('https');
const http = require('http');
const assert = require('assert');
const iot = require('alibabacloud-iot-device-sdk');

const env = process.env;
const limit = 15000;
let current = 'start';
let passed = 0;

function relink(...args) {
  const [program, ...first] = env.RELINK.split(' ');
  return new Promise((resolve, reject) => {
    execFile(program, [...first, ...args, '-o', 'json'], { timeout: limit }, (err, stdout, stderr) => {
      if (err) reject(new Error(`relink ${args.join(' ')}: ${stderr || err}`));
      else resolve(stdout.trim() ? JSON.parse(stdout) : {});
    });
  });
}

// within waits for a promise, not for ever.
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`${what}: nothing within ${limit} ms`)), limit); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// called gives what a function with a callback passes to it.
const called = (what, f) => within(new Promise((resolve) => f(resolve)), what);

function event(emitter, name) {
  return within(new Promise((resolve, reject) => {
    emitter.once(name, resolve);
    emitter.once('error', reject);
  }), name);
}

async function eventually(what, f) {
  const end = Date.now() + limit;
  for (;;) {
    if (await f()) return;
    if (Date.now() > end) throw new Error(`${what}: not within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function step(name, f) {
  current = name;
  await f();
  passed += 1;
  console.log(`ok ${name}`);
}

function ok(reply) {
  assert.strictEqual(reply.code, 200, JSON.stringify(reply));
  return reply;
}

function fetch(url) {
  return within(new Promise((resolve, reject) => {
    (url.startsWith('https') ? https : http).get(url, (res) => {
      let body = '';
      res.on('data', (d) => { body += d; });
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body }));
    }).on('error', reject);
  }), url);
}

async function property(pk, dn, name, want) {
  await eventually(`${name} of ${dn}`, async () => JSON.stringify(await relink('property', 'get', pk, dn, name)).includes(want));
}

async function main() {
  const tls = `mqtts://${env.RELINK_MQTTS}`;
  const tcp = `mqtt://${env.RELINK_MQTT}`;

  const product = await relink('product', 'create', '--name', 'node_device');
  const pk = product.ProductKey;
  await relink('thing-model', 'import', pk, env.MODEL);
  await relink('thing-model', 'publish', pk);
  const created = await relink('device', 'create', pk, 'node-01');

  let device;
  await step('connect over TLS', async () => {
    device = iot.device({ productKey: pk, deviceName: 'node-01', deviceSecret: created.DeviceSecret, brokerUrl: tls });
    await event(device, 'connect');
  });

  await step('dynamic registration', async () => {
    await relink('device', 'create', pk, 'node-02');
    const secret = (await relink('product', 'show', pk)).ProductSecret;
    const registered = ok(await called('register', (cb) => iot.register({
      productKey: pk, productSecret: secret, deviceName: 'node-02', signMethod: 'hmacsha1',
      registerURL: `https://${env.RELINK_MQTTS}/auth/register/device`,
    }, cb)));
    const second = iot.device({ productKey: pk, deviceName: 'node-02', deviceSecret: registered.data.deviceSecret, brokerUrl: tcp });
    await event(second, 'connect');
    second.end(true);
    const again = await called('register again', (cb) => iot.register({
      productKey: pk, productSecret: secret, deviceName: 'node-02', signMethod: 'hmacsha1',
      registerURL: `https://${env.RELINK_MQTTS}/auth/register/device`,
    }, cb));
    assert.strictEqual(again.code, 6289, `an active device registered again: ${JSON.stringify(again)}`);
  });

  await step('property post', async () => {
    ok(await called('postProps', (cb) => device.postProps({ temp: 21.5, power: 1 }, cb)));
    await property(pk, 'node-01', 'temp', '21.5');
  });

  await step('event post', async () => {
    ok(await called('postEvent', (cb) => device.postEvent('alarm', { code: 17, text: 'over temperature' }, cb)));
    await eventually('event', async () => JSON.stringify(await relink('event', 'list', pk, 'node-01')).includes('over temperature'));
  });

  await step('property set', async () => {
    const set = called('onProps', (cb) => device.onProps(cb));
    await relink('property', 'set', pk, 'node-01', 'label=hall');
    const request = await set;
    assert.deepStrictEqual(request.params, { label: 'hall' });
    assert.strictEqual(request.method, 'thing.service.property.set');
  });

  await step('asynchronous service', async () => {
    const call = called('onService', (cb) => device.onService('reboot', (res, reply) => { reply({ code: 200, data: {} }, 'async'); cb(res); }));
    await relink('service', 'invoke', pk, 'node-01', 'reboot', 'delay=5');
    assert.deepStrictEqual((await call).params, { delay: 5 });
  });

  await step('synchronous service', async () => {
    device.onService('add', (res, reply) => reply({ code: 200, data: { sum: res.params.a + res.params.b } }, 'sync'));
    const answer = await relink('service', 'invoke', pk, 'node-01', 'add', 'a=2', 'b=3');
    assert.ok(JSON.stringify(answer).replace(/\\/g, '').includes('"sum":5'), JSON.stringify(answer));
  });

  await step('tags', async () => {
    ok(await called('postTags', (cb) => device.postTags([{ attrKey: 'room', attrValue: '2.14' }, { attrKey: 'floor', attrValue: '2' }], cb)));
    await eventually('tags', async () => JSON.stringify(await relink('tag', 'list', pk, 'node-01')).includes('2.14'));
    ok(await called('deleteTags', (cb) => device.deleteTags(['floor'], cb)));
    await eventually('tag deleted', async () => !JSON.stringify(await relink('tag', 'list', pk, 'node-01')).includes('floor'));
  });

  await step('shadow', async () => {
    const next = (what, f) => called(what, (cb) => { device.onShadow(cb); f(); });
    const updated = await next('postShadow', () => device.postShadow({ color: 'red', size: { w: 1 } }));
    assert.strictEqual(updated.method, 'reply');
    assert.strictEqual(updated.payload.status, 'success', JSON.stringify(updated));
    const got = await next('getShadow', () => device.getShadow());
    assert.strictEqual(got.payload.state.reported.color, 'red', JSON.stringify(got));
    const control = next('control', () => {});
    await relink('shadow', 'set', pk, 'node-01', 'color=green');
    assert.strictEqual((await control).payload.state.desired.color, 'green');
    const deleted = await next('deleteShadow', () => device.deleteShadow('size'));
    assert.strictEqual(deleted.payload.status, 'success', JSON.stringify(deleted));
  });

  await step('remote configuration', async () => {
    const none = await called('getConfig', (cb) => device.getConfig(cb));
    assert.notStrictEqual(none.code, 200, 'there is no configuration yet');
    const file = `${__dirname}/config.json`;
    fs.writeFileSync(file, '{"interval":30}');
    const pushed = called('onConfig', (cb) => device.onConfig(cb));
    await relink('config', 'publish', pk, '--file', file, '--push');
    const push = await pushed;
    const reply = ok(await called('getConfig', (cb) => device.getConfig(cb)));
    assert.strictEqual(reply.data.configId, push.params.configId);
    assert.strictEqual(reply.data.configSize, 15);
    const download = await fetch(reply.data.url);
    assert.strictEqual(download.status, 200);
    assert.strictEqual(download.body, '{"interval":30}');
  });
  device.end(true);

  const gateways = await relink('product', 'create', '--name', 'node_gateway', '--gateway');
  const own = await relink('device', 'create', gateways.ProductKey, 'gw-01');
  let gateway;
  const subs = [];
  await step('gateway: connect', async () => {
    gateway = iot.gateway({ productKey: gateways.ProductKey, deviceName: 'gw-01', deviceSecret: own.DeviceSecret, brokerUrl: tcp });
    await event(gateway, 'connect');
  });

  await step('gateway: registration of sub-devices', async () => {
    await relink('device', 'create', pk, 'sub-01');
    await relink('device', 'create', pk, 'sub-02');
    const reply = ok(await called('regiestSubDevice', (cb) => gateway.regiestSubDevice([
      { productKey: pk, deviceName: 'sub-01' }, { productKey: pk, deviceName: 'sub-02' },
    ], cb)));
    subs.push(...reply.data);
    assert.strictEqual(subs.length, 2);
    assert.ok(subs.every((s) => s.deviceSecret));
  });

  await step('gateway: topology', async () => {
    ok(await called('addTopo', (cb) => gateway.addTopo(subs, cb)));
    const topo = ok(await called('getTopo', (cb) => gateway.getTopo(cb)));
    assert.deepStrictEqual(topo.data.map((d) => d.deviceName).sort(), ['sub-01', 'sub-02']);
  });

  for (const s of subs) {
    await step(`gateway: ${s.deviceName}`, async () => {
      let sub;
      ok(await called('login', (cb) => { sub = gateway.login(s, cb); }));
      ok(await called('postProps', (cb) => sub.postProps({ temp: 30.25 }, cb)));
      await property(pk, s.deviceName, 'temp', '30.25');
      const set = called('onProps', (cb) => sub.onProps(cb));
      await relink('property', 'set', pk, s.deviceName, 'power=1');
      assert.deepStrictEqual((await set).params, { power: 1 });
      sub.onService('add', (res, reply) => reply({ code: 200, data: { sum: res.params.a + res.params.b } }, 'sync'));
      const answer = await relink('service', 'invoke', pk, s.deviceName, 'add', 'a=20', 'b=3');
      assert.ok(JSON.stringify(answer).replace(/\\/g, '').includes('"sum":23'), JSON.stringify(answer));
    });
  }

  await step('gateway: logout and removal', async () => {
    const [first, second] = subs;
    ok(await called('logout', (cb) => gateway.logout({ productKey: first.productKey, deviceName: first.deviceName }, cb)));
    ok(await called('removeTopo', (cb) => gateway.removeTopo([{ productKey: second.productKey, deviceName: second.deviceName }], cb)));
    const topo = ok(await called('getTopo', (cb) => gateway.getTopo(cb)));
    assert.deepStrictEqual(topo.data.map((d) => d.deviceName), ['sub-01']);
  });
  gateway.end(true);
}

main().then(() => {
  console.log(`node sdk: ${passed} passed, 0 failed`);
  process.exit(0);
}, (err) => {
  console.error(`node sdk: "${current}" failed: ${err.stack || err}`);
  process.exit(1);
});
