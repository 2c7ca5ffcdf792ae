// Draws the published rate: a line for what is known, a band up to what is possible while something is not.

const chart = document.getElementById("chart");
const none = document.getElementById("chart-none");
const HOUR_MS = 3_600_000;
const STEPS_S = { 24: 300, 168: 900 };
const LEAST_GAP_MS = 20_000;
const REFERENCE = 95;

let hours = 24;
let drawn = null;
let points = [];
let last = 0;

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const maker = new Intl.DateTimeFormat("en", {
  timeZone: chart.dataset.zone,
  hourCycle: "h23",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
});
const told = (ms) => Object.fromEntries(maker.formatToParts(new Date(ms)).map(({ type, value }) => [type, value]));
// As the rest of the page writes times: 11-23 17:05.
const clock = (ms) => `${told(ms).hour}:${told(ms).minute}`;
const day = (ms) => `${told(ms).month}-${told(ms).day}`;
const moment = (ms) => `${day(ms)} ${clock(ms)}`;

// The server's clock says what now is; the reader's may be wrong.
const now = () => Date.parse(document.getElementById("notices").dataset.at);

// What cannot be loaded leaves the last drawing; live.js says on the page that the server does not answer.
const attempt = () => load().catch((error) => console.warn(error.message));

async function load() {
  last = Date.now();
  const to = now();
  const query = new URLSearchParams({
    from: new Date(to - hours * HOUR_MS).toISOString(),
    to: new Date(to).toISOString(),
    step_s: String(STEPS_S[hours]),
  });
  const asked = hours;
  const answer = await fetch(`/api/v1/indicators/online-rate/history?${query}`);
  if (!answer.ok) throw new Error(`history: ${answer.status}`);
  if (asked !== hours) return;
  points = (await answer.json()).points;
  draw(to);
}

function withGaps(values) {
  // A step that is missing breaks the line: nothing was recorded, so nothing is drawn.
  const out = [];
  let before = null;
  for (const point of values) {
    const at = Date.parse(point.at);
    if (before !== null && at - before > 2.5 * STEPS_S[hours] * 1000) out.push([before + 1, null, null]);
    const lower = point.percent === null ? null : Number(point.percent);
    const upper = point.percent_upper === null ? null : Number(point.percent_upper);
    out.push([at, lower, upper === null || lower === null ? null : upper - lower, point]);
    before = at;
  }
  return out;
}

function unknownTimes(rows, to) {
  const times = [];
  rows.forEach(([at, , , point], index) => {
    if (!point?.unknown) return;
    const until = rows[index + 1]?.[0] ?? Math.min(to, at + STEPS_S[hours] * 1000);
    const before = times[times.length - 1];
    if (before?.[1].xAxis === at) before[1].xAxis = until;
    else times.push([{ xAxis: at }, { xAxis: until }]);
  });
  return times;
}

function draw(to) {
  const rows = withGaps(points);
  const known = points.filter((point) => point.percent !== null);
  none.hidden = known.length > 0;
  chart.hidden = known.length === 0;
  if (!known.length) return;
  drawn ??= window.echarts.init(chart, null, { renderer: "canvas" });
  const ink = style("--ink-2");
  const line = style("--line");
  const accent = style("--accent");
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const text = { color: ink, fontFamily: getComputedStyle(document.body).fontFamily, fontSize: 0.75 * rem };
  const lowest = Math.min(...known.map((point) => Number(point.percent)));
  const floor = Math.max(0, lowest > 90 ? Math.floor(lowest - 0.8) : Math.floor((lowest - 3) / 5) * 5);
  drawn.setOption(
    {
      animation: false,
      textStyle: text,
      grid: { left: 3.1 * rem, right: 0.75 * rem, top: 0.75 * rem, bottom: 1.75 * rem },
      xAxis: {
        type: "time",
        min: to - hours * HOUR_MS,
        max: to,
        axisLine: { lineStyle: { color: line } },
        axisTick: { show: false },
        splitLine: { show: false },
        minInterval: hours === 24 ? 3 * HOUR_MS : 24 * HOUR_MS,
        axisLabel: { ...text, hideOverlap: true, formatter: (ms) => (hours === 24 ? clock(ms) : day(ms)) },
      },
      yAxis: {
        type: "value",
        min: floor,
        max: 100,
        splitNumber: 4,
        axisLabel: { ...text, formatter: "{value}%" },
        splitLine: { lineStyle: { color: line } },
      },
      tooltip: {
        trigger: "axis",
        renderMode: "richText", // an HTML tooltip would need inline styles
        backgroundColor: style("--surface"),
        borderColor: style("--line-2"),
        textStyle: { ...text, color: style("--ink"), fontSize: 0.8125 * rem },
        axisPointer: { lineStyle: { color: style("--line-2") } },
        formatter: ([first]) => describe(first?.data),
      },
      series: [
        {
          name: chart.dataset.rate,
          type: "line",
          stack: "range",
          showSymbol: rows.length < 3,
          symbolSize: 5,
          data: rows,
          encode: { x: 0, y: 1 },
          step: "end", // a value stands until the next one
          lineStyle: { color: accent, width: hours === 24 ? 2 : 1.5 },
          itemStyle: { color: accent },
          areaStyle: { color: accent, opacity: 0.07, origin: "start" },
          z: 3,
          markLine: {
            silent: true,
            symbol: "none",
            data: floor < REFERENCE ? [{ yAxis: REFERENCE }] : [],
            lineStyle: { color: style("--line-2"), type: [4, 4] },
            label: { ...text, position: "insideStartTop", formatter: chart.dataset.marks },
          },
          // Seen even where the range is narrower than the line.
          markArea: {
            silent: true,
            data: unknownTimes(rows, to),
            itemStyle: { color: style("--unknown"), opacity: 0.22 },
          },
        },
        {
          name: chart.dataset.range,
          type: "line",
          stack: "range",
          showSymbol: false,
          silent: true,
          data: rows,
          encode: { x: 0, y: 2 },
          step: "end",
          lineStyle: { width: 0 },
          itemStyle: { opacity: 0 },
          areaStyle: { color: style("--unknown"), opacity: 0.45 },
        },
      ],
    },
    { notMerge: true },
  );
  const first = known[0];
  const latest = known[known.length - 1];
  const facts = {
    from: moment(Date.parse(first.at)),
    to: moment(Date.parse(latest.at)),
    min: lowest.toFixed(1),
    now: latest.percent,
  };
  chart.setAttribute("aria-label", chart.dataset.summary.replace(/\{(\w+)\}/g, (_, name) => facts[name]));
}

function describe(row) {
  const point = row?.[3];
  if (!point) return "";
  const rate =
    point.percent === point.percent_upper ? `${point.percent}%` : `${point.percent}–${point.percent_upper}%`;
  const unknown = point.unknown ? `\n${chart.dataset.unknown} ${point.unknown}` : "";
  return `${moment(row[0])}\n${rate}   ${point.numerator}/${point.denominator}${unknown}`;
}

for (const button of document.querySelectorAll("[data-hours]")) {
  button.addEventListener("click", () => {
    hours = Number(button.dataset.hours);
    for (const other of document.querySelectorAll("[data-hours]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    attempt();
  });
}

const again = () => {
  if (Date.now() - last > LEAST_GAP_MS) attempt();
};
document.body.addEventListener("pulse:chart", again);
setInterval(again, 60_000);
document.body.addEventListener("pulse:theme", () => points.length && draw(now()));
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => points.length && draw(now()));
new ResizeObserver(() => drawn?.resize()).observe(chart);
attempt();
