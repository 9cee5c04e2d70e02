function rawDataToProtocol(bytes) {
  var b = [];
  for (var i = 0; i < bytes.length; i++) b.push(bytes[i] & 0xff);
  var id = String(((b[1] << 24) | (b[2] << 16) | (b[3] << 8) | b[4]) >>> 0);
  if (b[0] === 0) {
    var t = (b[5] << 8) | b[6];
    if (t > 32767) t -= 65536;
    return { method: 'thing.event.property.post', id: id, version: '1.0', params: { temp: t / 100, power: b[7] } };
  }
  if (b[0] === 3) return { id: id, code: b[5] * 256 + b[6], data: {}, version: '1.0' };
  return {};
}
function protocolToRawData(json) {
  var id = parseInt(json.id, 10), code = json.code;
  var out = [0, (id >>> 24) & 255, (id >>> 16) & 255, (id >>> 8) & 255, id & 255];
  if (json.method === 'thing.service.property.set') { out[0] = 1; out.push(json.params.power & 255); return out; }
  if (code !== undefined) { out[0] = 2; out.push((code >> 8) & 255, code & 255); return out; }
  return [];
}
