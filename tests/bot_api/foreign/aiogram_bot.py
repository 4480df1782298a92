"""The test's bot, written with aiogram: see tests/all/telegram/foreign.rs for what it is asked to do.

    aiogram_bot.py URL TOKEN CHAT
"""

import asyncio
import io
import sys

from aiogram import Bot, Dispatcher, F
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramAPIError, TelegramForbiddenError, TelegramMigrateToChat, TelegramRetryAfter
from aiogram.filters import Command
from aiogram.types import (
    BotCommand,
    BotCommandScopeChat,
    BufferedInputFile,
    CallbackQuery,
    ChatMemberUpdated,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    Message,
    ReactionTypeEmoji,
    ReplyParameters,
)

url, token, chat = sys.argv[1], sys.argv[2], int(sys.argv[3])
bot = Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(url)))
dispatcher = Dispatcher()
asked_and_refused = []


def buttons(*labels):
    return InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text=label, callback_data=label.lower()) for label in labels]]
    )


@dispatcher.message(Command("pending"))
async def pending(message: Message):
    await bot.send_message(
        message.chat.id,
        "<b>ada</b> &lt;is&gt; dead",
        parse_mode="HTML",
        reply_markup=buttons("Restart", "Deny"),
        message_thread_id=message.message_thread_id if message.is_topic_message else None,
        reply_parameters=ReplyParameters(message_id=message.message_id, allow_sending_without_reply=True),
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        disable_notification=True,
    )


@dispatcher.callback_query(F.data == "restart")
async def restart(query: CallbackQuery):
    await query.answer("Restarting ada", show_alert=True)
    await query.message.edit_text(
        f"<b>ada</b> restarts, by {query.from_user.first_name}", parse_mode="HTML", reply_markup=buttons("Stop")
    )


@dispatcher.callback_query(F.data == "stop")
async def stop_restarting(query: CallbackQuery):
    await query.answer()
    await query.message.edit_reply_markup(reply_markup=None)


@dispatcher.callback_query()
async def gone(query: CallbackQuery):
    there = "there" if isinstance(query.message, Message) else "gone"
    await query.answer(f"{there}: {query.data}")


@dispatcher.message(Command("file"))
async def file(message: Message):
    sent = await message.answer_document(BufferedInputFile(b"line\n" * 1000, "history.txt"), caption="all of it")
    assert sent.document.file_size == 5000


@dispatcher.message(F.document)
async def received(message: Message):
    content = io.BytesIO()
    await bot.download(message.document.file_id, content)
    await message.react([ReactionTypeEmoji(emoji="\N{THUMBS UP SIGN}")])
    await message.answer(f"{message.document.file_name}: {content.getvalue().decode()}", reply_markup=ForceReply())


@dispatcher.message(Command("wrong"))
async def wrong(message: Message):
    for what, call in [
        ("entities", bot.send_message(chat, "<b>ada", parse_mode="HTML")),
        ("chat", bot.send_message(-42, "ada")),
        ("data", bot.send_message(chat, "ada", reply_markup=buttons("x" * 65))),
        ("answer", bot.answer_callback_query("no such")),
        ("edit", bot.edit_message_text("ada", chat_id=chat, message_id=99999)),
        ("delete", bot.delete_message(chat, 99999)),
        ("limit", bot.get_chat(chat)),
    ]:
        try:
            await call
        except TelegramRetryAfter as error:
            asked_and_refused.append(f"{what}: wait {error.retry_after}")
        except TelegramForbiddenError as error:
            asked_and_refused.append(f"{what}: forbidden {error.message}")
        except TelegramAPIError as error:
            asked_and_refused.append(f"{what}: {error.message}")
    await message.answer("\n".join(asked_and_refused))


@dispatcher.message(F.migrate_to_chat_id)
async def migrated(message: Message):
    try:
        await bot.send_message(message.chat.id, "anybody here?")
    except TelegramMigrateToChat as error:
        await bot.send_message(error.migrate_to_chat_id, f"moved from {message.chat.id}")


@dispatcher.my_chat_member()
async def moved(update: ChatMemberUpdated):
    print(update.old_chat_member.status, "->", update.new_chat_member.status, flush=True)


@dispatcher.message(Command("stop"))
async def stop(message: Message):
    own = await message.answer("good bye")
    await bot.delete_message(own.chat.id, own.message_id)
    await dispatcher.stop_polling()


async def main():
    me = await bot.get_me()
    assert me.is_bot and me.username == "lazarus_test_bot", me
    assert (await bot.get_webhook_info()).url == ""
    await bot.delete_webhook()
    commands = [BotCommand(command="pending", description="What waits for a decision")]
    scope = BotCommandScopeChat(chat_id=chat)
    assert await bot.set_my_commands(commands, scope=scope)
    assert [(known.command, known.description) for known in await bot.get_my_commands(scope=scope)] == [
        ("pending", "What waits for a decision")
    ]
    assert await bot.get_my_commands() == []
    full = await bot.get_chat(chat)
    assert full.title == "ops" and full.type == "supergroup", full
    member = await bot.get_chat_member(chat, me.id)
    assert member.status == "administrator", member
    assert [admin.status for admin in await bot.get_chat_administrators(chat)] == ["creator", "administrator"]
    await dispatcher.start_polling(bot, polling_timeout=20, handle_signals=False)


asyncio.run(main())
