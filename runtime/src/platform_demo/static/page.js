// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
//
// Shows the channels of the fake Discord. Every text of a message becomes a text node, never markup.
"use strict";

const REFRESH_MS = 700;
const MAX_SHOWN = 500; // messages in the page; older ones stay in /messages

const state = { after: 0, channel: "", channels: {}, messages: [] };
const list = document.getElementById("messages");

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Fences, inline code and bold: what our messages use of Discord's markdown.
function markdown(text) {
  const out = [];
  const pattern = /```(?:[\w+-]*\n)?([\s\S]*?)```|`([^`\n]+)`|\*\*([^*\n]+)\*\*/g;
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) out.push(text.slice(at, match.index));
    if (match[1] !== undefined) out.push(element("pre", "", match[1].replace(/\n$/, "")));
    else if (match[2] !== undefined) out.push(element("code", "", match[2]));
    else out.push(element("strong", "", match[3]));
    at = match.index + match[0].length;
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

function clock(stamp) {
  const date = new Date(stamp);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString();
}

function embedOf(embed) {
  const stripe = element("span", "stripe");
  if (embed.color) stripe.style.backgroundColor = "#" + Number(embed.color).toString(16).padStart(6, "0");
  const fields = (embed.fields || []).map((field) =>
    element("div", field.inline ? "field" : "field wide", element("b", "", ...markdown(field.name)), ...markdown(field.value)));
  const footer = [embed.footer ? embed.footer.text : "", embed.timestamp ? clock(embed.timestamp) : ""].filter(Boolean);
  return element("div", "embed", stripe, element("div", "card",
    embed.title ? element("div", "title", ...markdown(embed.title)) : null,
    embed.description ? element("div", "description", ...markdown(embed.description)) : null,
    fields.length ? element("div", "fields", ...fields) : null,
    footer.length ? element("div", "footer", footer.join(" • ")) : null));
}

function messageOf(message) {
  const name = message.author && message.author.username ? message.author.username : "?";
  const time = element("time", "time", clock(message.timestamp));
  time.dateTime = message.timestamp;
  const made = element("li", "message", element("div", "avatar", name.slice(0, 1).toUpperCase()),
    element("div", "body", element("div", "", element("span", "author", name),
      message.author && message.author.bot ? element("span", "tag", "APP") : null, time),
      message.content ? element("div", "content", ...markdown(message.content)) : null,
      ...(message.embeds || []).map(embedOf)));
  return made;
}

function show(messages) {
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.append(...messages.filter((m) => !state.channel || m.channel_id === state.channel).map(messageOf));
  while (list.childElementCount > MAX_SHOWN) list.firstElementChild.remove();
  document.getElementById("empty").hidden = list.childElementCount > 0;
  if (wasAtEnd) list.scrollTop = list.scrollHeight;
}

function choose(channel) {
  state.channel = channel;
  list.replaceChildren();
  showChannels();
  show(state.messages);
  list.scrollTop = list.scrollHeight;
}

function showChannels() {
  const entries = [["", "all"], ...Object.entries(state.channels)];
  document.getElementById("channels").replaceChildren(...entries.map(([id, name]) => {
    const button = element("button", "", "# " + name);
    button.type = "button";
    button.setAttribute("aria-current", String(id === state.channel));
    button.addEventListener("click", () => choose(id));
    return element("li", "", button);
  }));
  document.getElementById("channel").textContent = "# " + (state.channels[state.channel] || "all");
}

function showStats(stats) {
  const statuses = Object.entries(stats.requests_by_status).map(([status, count]) => `${status}: ${count}`).join(" · ");
  document.getElementById("figures").textContent =
    `${stats.kept} messages · ${stats.embeds_kept} embeds` + (statuses ? ` · answers ${statuses}` : "");
  const fault = document.getElementById("fault");
  fault.textContent = stats.fault.mode === "ok" ? "answers normally" : "fault: " + stats.fault.mode;
  fault.classList.toggle("broken", stats.fault.mode !== "ok");
  if (JSON.stringify(stats.channels) !== JSON.stringify(state.channels)) {
    state.channels = stats.channels;
    showChannels();
  }
  return stats;
}

async function refresh() {
  try {
    const answer = await fetch("messages?after=" + state.after, { cache: "no-store" });
    const { messages, stats } = await answer.json();
    showStats(stats);
    if (stats.received < state.after) {
      // The server began anew.
      Object.assign(state, { after: 0, messages: [] });
      list.replaceChildren();
    } else if (messages.length) {
      state.after = messages[messages.length - 1].ordinal;
      state.messages = state.messages.concat(messages).slice(-MAX_SHOWN);
      show(messages);
    }
  } catch (problem) {
    document.getElementById("figures").textContent = "no connection; trying again";
  }
  setTimeout(refresh, REFRESH_MS);
}

showChannels();
refresh();
