# SPDX-License-Identifier: MIT
"""Runs operators' questions beside the insertions: one thread for questions, one for exports."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from buildernet.archive.engine import Engine
from buildernet.archive.errors import BusyError
from buildernet.archive.queries import Page, Question, ask, export_statement

MAX_QUESTIONS: Final = 8
"""Running or waiting; a question takes 30 s at most."""

MAX_EXPORTS: Final = 1
"""An export reads months; a second one would only slow both."""

EXPORT_FORMAT: Final = "Parquet"


class Reader:
    """Answers questions; each kind of work has an engine connection of its own."""

    def __init__(self, questions: Engine, exports: Engine) -> None:
        self._questions = questions
        self._exports = exports
        self._question_thread = ThreadPoolExecutor(1, thread_name_prefix="archive-reader")
        self._export_thread = ThreadPoolExecutor(1, thread_name_prefix="archive-export")
        self._asking = 0
        self._exporting = 0

    async def ask(self, question: Question) -> Page:
        """Answer a question.

        Raises:
            BusyError: `MAX_QUESTIONS` are being answered.
            EngineError: It failed or costs too much.
        """
        if self._asking >= MAX_QUESTIONS:
            raise BusyError(f"{MAX_QUESTIONS} questions are being answered")
        self._asking += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._question_thread, ask, self._questions, question)
        finally:
            self._asking -= 1

    async def export(self, question: Question) -> AsyncGenerator[bytes]:
        """Yield a Parquet file piece by piece.

        Raises:
            BusyError: Another export is running.
            EngineError: It failed.
        """
        if self._exporting >= MAX_EXPORTS:
            raise BusyError("another export is running")
        self._exporting += 1
        loop = asyncio.get_running_loop()
        statement, parameters = export_statement(question)
        pieces = self._exports.stream(statement, parameters, EXPORT_FORMAT)
        try:
            while True:
                piece = await loop.run_in_executor(self._export_thread, next, pieces, None)
                if piece is None:
                    return
                yield piece
        finally:
            self._exporting -= 1
            # In its thread, after what is still running there.
            self._export_thread.submit(getattr(pieces, "close", lambda: None))

    def close(self) -> None:
        """Wait for what is running."""
        self._question_thread.shutdown(cancel_futures=True)
        self._export_thread.shutdown(cancel_futures=True)
